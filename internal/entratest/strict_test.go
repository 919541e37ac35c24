package entratest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

// What no client should send is reported and refused. Each case is one complaint.
func TestUnexpectedRequestsAreReported(t *testing.T) {
	r := &recorder{T: t}
	s := entratest.New(r)
	s.Register(app(s))
	direct, proxied := newClient(t, s, false), newClient(t, s, true)
	for name, test := range map[string]struct {
		c      *http.Client
		req    func(url.Values) *http.Request
		status int // 0: no answer at all
	}{
		"parameter": {direct, func(f url.Values) *http.Request {
			f.Set("resource", "x")
			return tokenRequest(s.URL, tenantID, f)
		}, 400},
		"twice": {direct, func(f url.Values) *http.Request {
			f.Add("scope", "x")
			return tokenRequest(s.URL, tenantID, f)
		}, 400},
		"grant": {direct, func(f url.Values) *http.Request {
			f.Set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
			return tokenRequest(s.URL, tenantID, f)
		}, 400},
		"assertion type": {direct, func(f url.Values) *http.Request {
			f.Set("client_assertion_type", "x")
			return tokenRequest(s.URL, tenantID, f)
		}, 400},
		"content type": {direct, func(f url.Values) *http.Request {
			req := tokenRequest(s.URL, tenantID, f)
			req.Header.Set("Content-Type", "application/json")
			return req
		}, 400},
		"query":       {direct, func(f url.Values) *http.Request { return appendToURL(tokenRequest(s.URL, tenantID, f), "?x=y") }, 400},
		"path":        {direct, func(f url.Values) *http.Request { return appendToURL(tokenRequest(s.URL, tenantID, f), "/more") }, 404},
		"clean path":  {direct, func(f url.Values) *http.Request { return tokenRequest(s.URL+"/", tenantID, f) }, 404},
		"v1 endpoint": {direct, func(url.Values) *http.Request { return tokenRequest(s.URL, tenantID+"/oauth2/token#", nil) }, 404},
		"method": {direct, func(f url.Values) *http.Request {
			req := tokenRequest(s.URL, tenantID, f)
			req.Method = "PUT"
			return req
		}, 404},
		"host": {direct, func(f url.Values) *http.Request {
			req := tokenRequest(s.URL, tenantID, f)
			req.Host = "login.example"
			return req
		}, 404},
		"server name": {named(t, s, "login.example"), func(f url.Values) *http.Request { return tokenRequest(s.URL, tenantID, f) }, 0},
		"connect":     {proxied, func(f url.Values) *http.Request { return tokenRequest("https://login.example", tenantID, f) }, 0},
		"port":        {proxied, func(f url.Values) *http.Request { return tokenRequest("https://login.windows.net:8443", tenantID, f) }, 0},
		"plain proxy": {proxied, func(f url.Values) *http.Request { return tokenRequest("http://login.windows.net", tenantID, f) }, 405},
		"github off":  {direct, func(url.Values) *http.Request { return githubRequest(s.URL+"/github/oidc?api-version=2.0", "", "x") }, 404},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := doRequest(test.c, test.req(assertionForm(s.Assertion(entratest.Claims{Subject: subject}))))
			if got.status != test.status || (err != nil) != (test.status == 0) {
				t.Errorf("%v %d %s", err, got.status, got.raw)
			}
			if complaints := r.takeReports(); len(complaints) != 1 || !strings.HasPrefix(complaints[0], "entratest: ") {
				t.Errorf("complaints %q", complaints)
			}
		})
	}
	if s.Issued() != 0 {
		t.Errorf("%d tokens issued", s.Issued())
	}
}

// appendToURL appends to a request's URL.
func appendToURL(req *http.Request, suffix string) *http.Request {
	u, err := url.Parse(req.URL.String() + suffix)
	if err != nil {
		panic(err)
	}
	req.URL = u
	return req
}

// named is a client that asks for a TLS server name.
func named(t *testing.T, s *entratest.Server, name string) *http.Client {
	c := newClient(t, s, false)
	c.Transport.(*http.Transport).TLSClientConfig.ServerName = name
	return c
}
