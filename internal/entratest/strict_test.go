package entratest_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

// An unexpectedRequest is a request that no well-behaved client sends.
type unexpectedRequest struct {
	client  *http.Client
	request func(valid url.Values) *http.Request
	status  int // 0: the client gets an error and no response
}

// unexpectedRequests returns requests by name. Each is wrong in one way.
func unexpectedRequests(t *testing.T, s *entratest.Server) map[string]unexpectedRequest {
	direct, proxied := directClient(t, s), proxyClient(t, s)
	wrongName := clientWithServerName(t, s, "login.example")
	const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	with := func(name, value string) func(url.Values) *http.Request {
		return func(f url.Values) *http.Request {
			return tokenRequest(s.URL, tenantID, withValues(f, name, value))
		}
	}
	toBase := func(base string) func(url.Values) *http.Request {
		return func(f url.Values) *http.Request { return tokenRequest(base, tenantID, f) }
	}
	modified := func(modify func(*http.Request)) func(url.Values) *http.Request {
		return func(f url.Values) *http.Request {
			req := tokenRequest(s.URL, tenantID, f)
			modify(req)
			return req
		}
	}
	twoScopes := func(f url.Values) *http.Request {
		f.Add("scope", "x")
		return tokenRequest(s.URL, tenantID, f)
	}
	v1Endpoint := func(url.Values) *http.Request {
		return tokenRequest(s.URL, tenantID+"/oauth2/token#", nil)
	}
	github := func(url.Values) *http.Request {
		return githubRequest(s.URL+"/github/oidc?api-version=2.0", "", "x")
	}
	return map[string]unexpectedRequest{
		"parameter":       {direct, with("resource", "x"), 400},
		"scope twice":     {direct, twoScopes, 400},
		"grant":           {direct, with("grant_type", jwtBearer), 400},
		"assertion type":  {direct, with("client_assertion_type", "x"), 400},
		"content type":    {direct, modified(func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }), 400},
		"query":           {direct, modified(func(r *http.Request) { appendToURL(r, "?x=y") }), 400},
		"path":            {direct, modified(func(r *http.Request) { appendToURL(r, "/more") }), 404},
		"unclean path":    {direct, toBase(s.URL + "/"), 404},
		"v1 endpoint":     {direct, v1Endpoint, 404},
		"method":          {direct, modified(func(r *http.Request) { r.Method = "PUT" }), 404},
		"host":            {direct, modified(func(r *http.Request) { r.Host = "login.example" }), 404},
		"server name":     {wrongName, toBase(s.URL), 0},
		"CONNECT host":    {proxied, toBase("https://login.example"), 0},
		"CONNECT port":    {proxied, toBase("https://login.windows.net:8443"), 0},
		"http via proxy":  {proxied, toBase("http://login.windows.net"), 405},
		"GitHub disabled": {direct, github, 404},
	}
}

// Every unexpected request is refused and reported once.
func TestUnexpectedRequestsAreReported(t *testing.T) {
	r := &reportRecorder{T: t}
	s := newServer(r)
	for name, test := range unexpectedRequests(t, s) {
		t.Run(name, func(t *testing.T) {
			got, err := doRequest(test.client, test.request(validForm(s)))
			if got.status != test.status || (err != nil) != (test.status == 0) {
				t.Errorf("%v, %v", err, got)
			}
			r.wantOneReport(t)
		})
	}
	if s.Issued() != 0 {
		t.Errorf("%d tokens issued", s.Issued())
	}
}

// A client that is killed while it sends a request sends an incomplete form. That is not reported.
func TestKilledClientIsNotReported(t *testing.T) {
	s := entratest.New(t)
	const host = "login.microsoftonline.com"
	config := &tls.Config{RootCAs: certPool(t, s.CAFile), ServerName: host}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"), config)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /contoso.example/oauth2/v2.0/token HTTP/1.1\r\nHost: %s\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\n"+
		"Content-Length: 100\r\n\r\ngrant_type=", host)
	if !s.WaitTokenRequests(1, testTimeout) {
		t.Fatal("the request did not arrive")
	}
	conn.NetConn().Close()
}

// appendToURL appends a suffix to the URL of a request.
func appendToURL(req *http.Request, suffix string) {
	u, err := url.Parse(req.URL.String() + suffix)
	if err != nil {
		panic(err)
	}
	req.URL = u
}

// clientWithServerName returns a client that sends a TLS server name of its own.
func clientWithServerName(t *testing.T, s *entratest.Server, name string) *http.Client {
	c := directClient(t, s)
	c.Transport.(*http.Transport).TLSClientConfig.ServerName = name
	return c
}
