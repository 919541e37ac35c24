package entratest_test

import (
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/akslogin/akslogin/internal/entratest"
)

const (
	tenantID = "11111111-2222-4333-8444-555555555555"
	domain   = "contoso.onmicrosoft.com"
	clientID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	subject  = "system:serviceaccount:airflow:worker"
	jwtType  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	soon     = 10 * time.Second // more than any wait here takes
)

// app is the application of all tests; it trusts the cluster of s.
func app(s *entratest.Server) entratest.App {
	return entratest.App{
		Tenant: tenantID, TenantDomain: domain, ClientID: clientID,
		Federated: []entratest.FederatedCredential{{Issuer: s.Issuer, Subject: subject}},
	}
}

func start(t *testing.T) *entratest.Server {
	t.Helper()
	s := entratest.New(t)
	s.Register(app(s))
	return s
}

// recorder is a TB whose complaints are the result of a test.
type recorder struct {
	*testing.T
	mu         sync.Mutex
	complaints []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints = append(r.complaints, fmt.Sprintf(format, args...))
}

func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.complaints
	r.complaints = nil
	return taken
}

func roots(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s: no certificate", file)
	}
	return pool
}

// client trusts the CA of s. With a proxy it reaches the real names.
func client(t *testing.T, s *entratest.Server, viaProxy bool) *http.Client {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots(t, s.CAFile)},
		ForceAttemptHTTP2: true,
	}
	if viaProxy {
		u, err := url.Parse(s.ProxyURL)
		if err != nil {
			t.Fatal(err)
		}
		tr.Proxy = http.ProxyURL(u)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func form(assertion string) url.Values {
	return url.Values{
		"client_assertion":      {assertion},
		"client_assertion_type": {jwtType},
		"client_id":             {clientID},
		"client_info":           {"1"},
		"grant_type":            {"client_credentials"},
		"scope":                 {entratest.AKSServerID + "/.default openid offline_access profile"},
	}
}

type answer struct {
	status int
	header http.Header
	proto  string
	raw    string

	AccessToken   string `json:"access_token"`
	TokenType     string `json:"token_type"`
	ExpiresIn     int    `json:"expires_in"`
	ExtExpiresIn  int    `json:"ext_expires_in"`
	RefreshIn     *int   `json:"refresh_in"`
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri"`
}

// do sends a request and reads the answer; JSON in it is decoded.
func do(c *http.Client, req *http.Request) (answer, error) {
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, proto: resp.Proto, raw: string(body)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(body, &a)
	}
	return a, err
}

func tokenRequest(base, tenant string, f url.Values) *http.Request {
	req, err := http.NewRequest("POST", base+"/"+tenant+"/oauth2/v2.0/token", strings.NewReader(f.Encode()))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return req
}

// exchange is one exchange that gets an answer, of whatever kind.
func exchange(t *testing.T, s *entratest.Server, c *http.Client, f url.Values) answer {
	t.Helper()
	a, err := do(c, tokenRequest(s.URL, tenantID, f))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func getURL(t *testing.T, c *http.Client, rawURL string) answer {
	t.Helper()
	req, err := http.NewRequest("GET", rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := do(c, req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestExchange(t *testing.T) {
	s := entratest.New(t)
	a := app(s)
	a.Groups = []string{"group-1", "group-2"}
	s.Register(a)
	a.Groups[0] = "changed after Register"
	c := client(t, s, false)

	sent := s.Assertion(entratest.Claims{Subject: subject})
	got := exchange(t, s, c, form(sent))
	if got.status != 200 || got.TokenType != "Bearer" || got.ExpiresIn != 3600 || got.ExtExpiresIn != 3600 || got.RefreshIn != nil {
		t.Fatalf("answer %d %s", got.status, got.raw)
	}
	if got.proto != "HTTP/2.0" {
		t.Errorf("%s, want HTTP/2.0", got.proto)
	}
	claims, err := s.Verify(got.AccessToken, entratest.AKSServerID)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"aud": entratest.AKSServerID, "iss": "https://sts.windows.net/" + tenantID + "/", "tid": tenantID,
		"appid": clientID, "appidacr": "2", "idtyp": "app", "ver": "1.0", "sub": claims["oid"],
	} {
		if claims[name] != want {
			t.Errorf("claim %s: %v, want %v", name, claims[name], want)
		}
	}
	if got := fmt.Sprint(claims["groups"]); got != "[group-1 group-2]" {
		t.Errorf("groups %s", got)
	}

	again := exchange(t, s, c, form(sent))
	if again.AccessToken == got.AccessToken {
		t.Error("two answers have the same token")
	}
	if got, want := s.IssuedTokens(), []string{got.AccessToken, again.AccessToken}; !slices.Equal(got, want) {
		t.Errorf("issued %q, want %q", got, want)
	}
	if got := s.SeenAssertions(); !slices.Equal(got, []string{sent, sent}) {
		t.Errorf("seen %q", got)
	}
	if s.TokenRequests() != 2 || s.Issued() != 2 || s.Connections() != 1 {
		t.Errorf("%d token requests, %d issued, %d connections", s.TokenRequests(), s.Issued(), s.Connections())
	}
	line := "POST " + strings.TrimPrefix(s.URL, "https://") + " /" + tenantID + "/oauth2/v2.0/token"
	if got := s.Requests(); !slices.Equal(got, []string{line, line}) {
		t.Errorf("requests %q", got)
	}
	s.ResetCounters()
	if s.TokenRequests()+s.Issued()+s.Connections()+len(s.Requests()) != 0 {
		t.Error("ResetCounters left something")
	}
	if len(s.SeenAssertions()) != 2 || len(s.IssuedTokens()) != 2 {
		t.Error("ResetCounters cleared what a leak test needs")
	}
}

func TestAssertionsDiffer(t *testing.T) {
	s := start(t)
	c := entratest.Claims{Subject: subject, Expires: time.Now().Add(time.Minute)}
	if first, second := s.Assertion(c), s.Assertion(c); first == second {
		t.Error("two assertions are the same")
	}
}

// The token is checked the way an API server does it: from the issuer's document to its keys, with nothing of the
// Server's own code.
func TestPublishedKeysVerify(t *testing.T) {
	s := start(t)
	c := client(t, s, true)
	got := exchange(t, s, client(t, s, false), form(s.Assertion(entratest.Claims{Subject: subject})))

	issuer := "https://sts.windows.net/" + tenantID + "/"
	var doc struct {
		Issuer  string
		JWKSURI string `json:"jwks_uri"`
	}
	decode(t, getURL(t, c, issuer+".well-known/openid-configuration").raw, &doc)
	if doc.Issuer != issuer {
		t.Fatalf("issuer %q", doc.Issuer)
	}
	var set struct {
		Keys []struct {
			Kid, X5t, N, E string
			X5c            []string
		}
	}
	decode(t, getURL(t, c, doc.JWKSURI).raw, &set)
	key := set.Keys[0]
	parsed, err := jwt.Parse(got.AccessToken, func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != key.Kid || token.Header["x5t"] != key.X5t || token.Header["typ"] != "JWT" {
			return nil, fmt.Errorf("header %v", token.Header)
		}
		e := new(big.Int).SetBytes(b64(t, key.E)).Int64()
		return &rsa.PublicKey{N: new(big.Int).SetBytes(b64(t, key.N)), E: int(e)}, nil
	}, jwt.WithIssuer(issuer), jwt.WithAudience(entratest.AKSServerID), jwt.WithValidMethods([]string{"RS256"}))
	if err != nil || !parsed.Valid {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(key.X5c[0])
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha1.Sum(der); base64.RawURLEncoding.EncodeToString(sum[:]) != key.X5t {
		t.Error("x5t is not the thumbprint of x5c")
	}
}

func decode(t *testing.T, raw string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), into); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
}

func b64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVerifyRefuses(t *testing.T) {
	s := start(t)
	c := client(t, s, false)
	good := exchange(t, s, c, form(s.Assertion(entratest.Claims{Subject: subject}))).AccessToken
	s.SetLife(-time.Minute)
	expired := exchange(t, s, c, form(s.Assertion(entratest.Claims{Subject: subject}))).AccessToken
	for name, test := range map[string]struct{ token, audience string }{
		"audience":  {good, "another"},
		"expired":   {expired, entratest.AKSServerID},
		"signature": {good[:len(good)-8] + "AAAAAAAA", entratest.AKSServerID},
		"issuer":    {s.Assertion(entratest.Claims{Audience: entratest.AKSServerID}), entratest.AKSServerID},
		"no token":  {"", entratest.AKSServerID},
	} {
		if _, err := s.Verify(test.token, test.audience); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := start(t)
	c := client(t, s, false)
	now := time.Now()
	good := entratest.Claims{Subject: subject}
	unsigned := func() string {
		token := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"iss": s.Issuer, "sub": subject, "aud": "api://AzureADTokenExchange", "iat": 1, "exp": now.Unix() + 60})
		signed, err := token.SignedString(jwt.UnsafeAllowNoneSignatureType)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}()
	with := func(name, value string) url.Values {
		f := form(s.Assertion(good))
		f.Set(name, value)
		if value == "" {
			f.Del(name)
		}
		return f
	}
	for _, test := range []struct {
		name   string
		tenant string
		form   url.Values
		code   int
		error  string
		status int
		text   string
	}{
		{"tenant", "not-there.example", with("", ""), 90002, "invalid_request", 400, "Tenant 'not-there.example' not found."},
		{"shared tenant", "organizations", with("", ""), 50059, "invalid_request", 400, "No tenant-identifying information"},
		{"client", tenantID, with("client_id", "someone"), 700016, "unauthorized_client", 400, "Application with identifier 'someone' was not found in the directory 'contoso.onmicrosoft.com'."},
		{"no client", tenantID, with("client_id", ""), 900144, "invalid_request", 400, "'client_id'"},
		{"no assertion", tenantID, with("client_assertion", ""), 7000218, "invalid_client", 401, "'client_assertion' or 'client_secret'"},
		{"garbage", tenantID, form("garbage"), 50027, "invalid_request", 400, "JWT token is invalid or malformed."},
		{"newline", tenantID, form(s.Assertion(good) + "\n"), 50027, "invalid_request", 400, "malformed"},
		{"alg none", tenantID, form(unsigned), 50027, "invalid_request", 400, "malformed"},
		{"issuer", tenantID, form(s.Assertion(entratest.Claims{Subject: subject, Issuer: strings.TrimSuffix(s.Issuer, "/")})), 700211, "invalid_client", 401, "presented assertion issuer '" + strings.TrimSuffix(s.Issuer, "/") + "'. Check your"},
		{"subject", tenantID, form(s.Assertion(entratest.Claims{Subject: subject + "s"})), 700213, "invalid_client", 401, "presented assertion subject '" + subject + "s'. Check your"},
		{"subject in capitals", tenantID, form(s.Assertion(entratest.Claims{Subject: strings.ToUpper(subject)})), 7002138, "invalid_client", 401, "presented assertion subject '" + strings.ToUpper(subject) + "'. The subject matches with case-insensitive"},
		{"audience", tenantID, form(s.Assertion(entratest.Claims{Subject: subject, Audience: "https://kubernetes.default.svc"})), 700212, "invalid_client", 401, "presented assertion audience 'https://kubernetes.default.svc'. Check your"},
		{"signature", tenantID, form(s.Forged(good)), 700027, "invalid_client", 401, "The provided signature value did not match"},
		{"expired", tenantID, form(s.Assertion(entratest.Claims{Subject: subject, Expires: now.Add(-time.Second)})), 700024, "invalid_client", 401, "expiry time of assertion " + now.Add(-time.Second).UTC().Format("2006-01-02T15:04:05.0000000Z")[:19]},
		{"too early", tenantID, form(s.Assertion(entratest.Claims{Subject: subject, NotBefore: now.Add(time.Minute)})), 700024, "invalid_client", 401, "assertion valid from " + now.Add(time.Minute).UTC().Format("2006-01-02T15:04:05")},
		{"too long a life", tenantID, form(s.Assertion(entratest.Claims{Subject: subject, Expires: now.Add(26 * time.Hour)})), 70023, "invalid_request", 400, "less than or equal to 1.01:00:00. Token issued at 1"},
		{"no scope", tenantID, with("scope", ""), 90014, "invalid_request", 400, "The required field 'scope' is missing"},
		{"no resource", tenantID, with("scope", "openid profile"), 70011, "invalid_scope", 400, "The scope openid profile is not valid."},
		{"not default", tenantID, with("scope", "api/user_impersonation"), 1002012, "invalid_scope", 400, "The provided value for scope api/user_impersonation is not valid."},
		{"resource", tenantID, with("scope", "not-there/.default"), 500011, "invalid_resource", 400, "The resource principal named not-there was not found in the tenant named contoso.onmicrosoft.com."},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := tokenRequest(s.URL, test.tenant, test.form)
			req.Header.Set("client-request-id", "the-correlation")
			got, err := do(c, req)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Codes, []int{test.code}) || got.Error != test.error || got.status != test.status {
				t.Errorf("%d %s", got.status, got.raw)
			}
			want := fmt.Sprintf("AADSTS%d: ", test.code)
			if !strings.HasPrefix(got.Description, want) || !strings.Contains(got.Description, test.text) {
				t.Errorf("description %q, want %q … %q", got.Description, want, test.text)
			}
			end := fmt.Sprintf(" Trace ID: %s Correlation ID: the-correlation Timestamp: %s", got.TraceID, got.Timestamp)
			if !strings.HasSuffix(got.Description, end) || got.CorrelationID != "the-correlation" {
				t.Errorf("description %q does not end with %q", got.Description, end)
			}
			if got.header.Get("x-ms-request-id") != got.TraceID || !strings.HasSuffix(got.URI, fmt.Sprint("/error?code=", test.code)) {
				t.Errorf("x-ms-request-id %q, error_uri %q", got.header.Get("x-ms-request-id"), got.URI)
			}
			if _, err := time.Parse("2006-01-02 15:04:05Z", got.Timestamp); err != nil {
				t.Error(err)
			}
		})
	}
	if s.Issued() != 0 {
		t.Errorf("%d tokens issued", s.Issued())
	}
}

// Several federated credentials: one must fit as a whole.
func TestFederatedCredentialsDoNotMix(t *testing.T) {
	s := entratest.New(t)
	a := app(s)
	a.Federated = []entratest.FederatedCredential{
		{Issuer: s.Issuer, Subject: "one"},
		{Issuer: "https://oidc.example/cluster-b/", Subject: "two"},
	}
	s.Register(a)
	c := client(t, s, false)
	if got := exchange(t, s, c, form(s.Assertion(entratest.Claims{Subject: "one"}))); got.status != 200 {
		t.Error(got.raw)
	}
	if got := exchange(t, s, c, form(s.Assertion(entratest.Claims{Subject: "two"}))); !slices.Equal(got.Codes, []int{700213}) {
		t.Error(got.raw)
	}
}

// Every code can be asked for, and no text keeps a word of ours unfilled.
func TestFailNextAADSTS(t *testing.T) {
	s := start(t)
	c := client(t, s, false)
	unfilled := regexp.MustCompile(`\{[a-z]\w*\}`)
	for code, want := range map[int]struct {
		status int
		error  string
	}{
		50027: {400, "invalid_request"}, 50034: {400, "invalid_grant"}, 50049: {400, "invalid_instance"}, 53003: {400, "invalid_grant"},
		65001: {400, "invalid_grant"}, 70011: {400, "invalid_scope"}, 70021: {400, "invalid_request"}, 70023: {400, "invalid_request"},
		700016: {400, "unauthorized_client"}, 700021: {401, "invalid_client"}, 700024: {401, "invalid_client"}, 700027: {401, "invalid_client"},
		700211: {401, "invalid_client"}, 700212: {401, "invalid_client"}, 700213: {401, "invalid_client"}, 7000112: {400, "unauthorized_client"},
		7000113: {400, "unauthorized_client"}, 7000215: {401, "invalid_client"}, 7000222: {401, "invalid_client"}, 90002: {400, "invalid_request"},
		90014: {400, "invalid_request"}, 90033: {503, "temporarily_unavailable"}, 500011: {400, "invalid_resource"}, 1002012: {400, "invalid_scope"},
	} {
		s.FailNext(1, entratest.Failure{AADSTS: code})
		got := exchange(t, s, c, form(s.Assertion(entratest.Claims{Subject: subject})))
		if !slices.Equal(got.Codes, []int{code}) || got.status != want.status || got.Error != want.error {
			t.Errorf("%d: %d %s", code, got.status, got.raw)
		}
		if word := unfilled.FindString(got.Description); word != "" {
			t.Errorf("%d: %s is left in %q", code, word, got.Description)
		}
	}
}

func TestFailures(t *testing.T) {
	s := start(t)
	c := client(t, s, false)
	send := func() (answer, error) {
		return do(c, tokenRequest(s.URL, tenantID, form(s.Assertion(entratest.Claims{Subject: subject}))))
	}
	s.FailNext(2, entratest.Failure{Status: 429, Header: http.Header{"Retry-After": {"7"}}, Body: `{"error":"busy"}`})
	s.FailNext(1, entratest.Failure{Body: "<html>portal</html>"})
	s.FailNext(1, entratest.Failure{Redirect: "https://elsewhere.example/token"})
	s.FailNext(1, entratest.Failure{AADSTS: 90033, Status: 500})
	for i := range 2 {
		if got, err := send(); err != nil || got.status != 429 || got.header.Get("Retry-After") != "7" || got.Error != "busy" {
			t.Errorf("answer %d: %v %+v", i, err, got)
		}
	}
	if got, err := send(); err != nil || got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.raw != "<html>portal</html>" {
		t.Errorf("%v %+v", err, got)
	}
	if got, err := send(); err != nil || got.status != 307 || got.header.Get("Location") != "https://elsewhere.example/token" {
		t.Errorf("%v %+v", err, got)
	}
	if got, err := send(); err != nil || got.status != 500 || !slices.Equal(got.Codes, []int{90033}) {
		t.Errorf("%v %+v", err, got)
	}
	if got, err := send(); err != nil || got.status != 200 || got.AccessToken == "" {
		t.Errorf("after the failures: %v %+v", err, got)
	}
	if s.TokenRequests() != 6 || s.Issued() != 1 {
		t.Errorf("%d requests, %d issued", s.TokenRequests(), s.Issued())
	}
}

func TestFailEvery(t *testing.T) {
	s := start(t)
	c := client(t, s, false)
	s.FailEvery(3, entratest.Failure{AADSTS: 90033}, entratest.Failure{Status: 429, Body: "{}"})
	var got []int
	send := func(n int) {
		for range n {
			got = append(got, exchange(t, s, c, form(s.Assertion(entratest.Claims{Subject: subject}))).status)
		}
	}
	send(4)
	s.FailNext(1, entratest.Failure{Status: 500, Body: "{}"}) // is not counted
	send(6)
	s.FailEvery(0)
	send(3)
	if want := []int{200, 200, 503, 200, 500, 200, 429, 200, 200, 503, 200, 200, 200}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestBrokenAnswers(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, viaProxy := range []bool{false, true} {
			t.Run(fmt.Sprintf("h2=%v proxy=%v", http2, viaProxy), func(t *testing.T) {
				s := start(t)
				c := client(t, s, viaProxy)
				if !http2 {
					c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
				}
				base := s.URL
				if viaProxy {
					base = "https://login.microsoftonline.com"
				}
				send := func() (*http.Response, error) {
					return c.Do(tokenRequest(base, tenantID, form(s.Assertion(entratest.Claims{Subject: subject}))))
				}
				s.FailNext(1, entratest.Failure{Break: entratest.BreakConnection})
				if resp, err := send(); err == nil {
					resp.Body.Close()
					t.Errorf("BreakConnection: %s", resp.Status)
				}
				s.FailNext(1, entratest.Failure{Break: entratest.BreakBody, Body: `{"half":`})
				resp, err := send()
				if err != nil {
					t.Fatalf("BreakBody: %v", err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err == nil || string(body) != `{"half":` {
					t.Errorf("BreakBody: %v after %q", err, body)
				}
				resp, err = send()
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("afterwards: %v", err)
				}
				resp.Body.Close()
				// Connections are not counted: net/http sometimes dials twice after one broke.
				if s.TokenRequests() != 3 {
					t.Errorf("%d requests", s.TokenRequests())
				}
			})
		}
	}
}

func TestLifeAndRefreshIn(t *testing.T) {
	s := start(t)
	s.SetLife(90 * time.Second)
	s.SetRefreshIn(45 * time.Second)
	before := time.Now().Unix()
	got := exchange(t, s, client(t, s, false), form(s.Assertion(entratest.Claims{Subject: subject})))
	if got.ExpiresIn != 90 || got.RefreshIn == nil || *got.RefreshIn != 45 {
		t.Error(got.raw)
	}
	claims, err := s.Verify(got.AccessToken, entratest.AKSServerID)
	if err != nil {
		t.Fatal(err)
	}
	if exp := int64(claims["exp"].(float64)); exp < before+90 || exp > time.Now().Unix()+90 {
		t.Errorf("exp %d, now %d", exp, before)
	}
}

func TestHoldAndRelease(t *testing.T) {
	s := start(t)
	c := client(t, s, false)
	s.Hold()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			got, err := do(c, tokenRequest(s.URL, tenantID, form(s.Assertion(entratest.Claims{Subject: subject}))))
			if err != nil || got.status != 200 {
				t.Errorf("%v %s", err, got.raw)
			}
		})
	}
	if !s.WaitTokenRequests(5, soon) {
		t.Fatal("the requests did not arrive")
	}
	if s.Issued() != 0 {
		t.Errorf("%d tokens issued while held", s.Issued())
	}
	if s.WaitTokenRequests(6, time.Millisecond) {
		t.Error("six requests arrived")
	}
	s.Release()
	wg.Wait()
	if s.Issued() != 5 {
		t.Errorf("%d tokens issued", s.Issued())
	}
}

// A client that goes away does not leave anything waiting: the server could not be closed then.
func TestClientGone(t *testing.T) {
	for name, knob := range map[string]func(*entratest.Server){
		"held":    func(s *entratest.Server) { s.Hold() },
		"delayed": func(s *entratest.Server) { s.SetDelay(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			knob(s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error)
			c := client(t, s, false)
			go func() {
				_, err := do(c, tokenRequest(s.URL, tenantID, form("x")).WithContext(ctx))
				failed <- err
			}()
			if !s.WaitTokenRequests(1, soon) {
				t.Fatal("the request did not arrive")
			}
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

func TestDelay(t *testing.T) {
	s := start(t)
	s.SetDelay(20 * time.Millisecond)
	began := time.Now()
	if got := exchange(t, s, client(t, s, false), form(s.Assertion(entratest.Claims{Subject: subject}))); got.status != 200 {
		t.Error(got.raw)
	}
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestRealNamesThroughProxy(t *testing.T) {
	s := start(t)
	for _, host := range []string{
		"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn",
		"login.chinacloudapi.cn", "login.windows.net",
	} {
		s.ResetCounters()
		c := client(t, s, true)
		got, err := do(c, tokenRequest("https://"+host, domain, form(s.Assertion(entratest.Claims{Subject: subject}))))
		if err != nil || got.status != 200 || got.proto != "HTTP/2.0" {
			t.Errorf("%s: %v %s", host, err, got.raw)
		}
		if got := s.ProxyConnects(); !slices.Equal(got, []string{host + ":443"}) {
			t.Errorf("%s: CONNECTs %q", host, got)
		}
		if got := s.Requests(); !slices.Equal(got, []string{"POST " + host + " /" + domain + "/oauth2/v2.0/token"}) {
			t.Errorf("%s: requests %q", host, got)
		}
		if s.Connections() != 1 {
			t.Errorf("%s: %d connections", host, s.Connections())
		}
	}
}

func TestProxyDown(t *testing.T) {
	s := start(t)
	c := client(t, s, true)
	s.SetProxyDown(true)
	if _, err := do(c, tokenRequest("https://login.microsoftonline.com", tenantID, form("x"))); err == nil {
		t.Error("the proxy is down and yet served")
	}
	s.SetProxyDown(false)
	got, err := do(c, tokenRequest("https://login.microsoftonline.com", tenantID, form(s.Assertion(entratest.Claims{Subject: subject}))))
	if err != nil || got.status != 200 {
		t.Errorf("%v %s", err, got.raw)
	}
	if len(s.ProxyConnects()) != 1 {
		t.Errorf("CONNECTs %q", s.ProxyConnects())
	}
}

func TestDocuments(t *testing.T) {
	s := start(t)
	c := client(t, s, true)
	direct := client(t, s, false)
	for _, test := range []struct {
		c                        *http.Client
		url, issuer, token, jwks string
	}{
		{c, "https://login.microsoftonline.com/" + domain + "/v2.0/.well-known/openid-configuration",
			"https://login.microsoftonline.com/" + tenantID + "/v2.0", "https://login.microsoftonline.com/" + tenantID + "/oauth2/v2.0/token",
			"https://login.microsoftonline.com/" + tenantID + "/discovery/v2.0/keys"},
		{c, "https://login.microsoftonline.us/" + tenantID + "/.well-known/openid-configuration",
			"https://sts.windows.net/" + tenantID + "/", "https://login.microsoftonline.us/" + tenantID + "/oauth2/token",
			"https://login.microsoftonline.us/" + tenantID + "/discovery/keys"},
		{direct, s.URL + "/" + tenantID + "/v2.0/.well-known/openid-configuration?",
			s.URL + "/" + tenantID + "/v2.0", s.URL + "/" + tenantID + "/oauth2/v2.0/token", s.URL + "/" + tenantID + "/discovery/v2.0/keys"},
	} {
		var doc struct {
			Issuer string
			Token  string `json:"token_endpoint"`
			JWKS   string `json:"jwks_uri"`
		}
		decode(t, getURL(t, test.c, test.url).raw, &doc)
		if doc.Issuer != test.issuer || doc.Token != test.token || doc.JWKS != test.jwks {
			t.Errorf("%s: %+v", test.url, doc)
		}
		if got := getURL(t, test.c, doc.JWKS).raw; got != string(s.JWKS()) {
			t.Errorf("%s: %s", doc.JWKS, got)
		}
	}
	got := getURL(t, direct, s.URL+"/not-there.example/v2.0/.well-known/openid-configuration")
	if got.status != 400 || got.Error != "invalid_tenant" || !slices.Equal(got.Codes, []int{90002}) {
		t.Error(got.raw)
	}
}

func TestInstanceDiscovery(t *testing.T) {
	s := start(t)
	c := client(t, s, true)
	ask := func(authority string) answer {
		q := url.Values{"api-version": {"1.1"}, "authorization_endpoint": {authority + "/" + tenantID + "/oauth2/v2.0/authorize"}}
		return getURL(t, c, "https://login.microsoftonline.com/common/discovery/instance?"+q.Encode())
	}
	var doc struct {
		Discovery string `json:"tenant_discovery_endpoint"`
		Metadata  []struct {
			Network string `json:"preferred_network"`
			Cache   string `json:"preferred_cache"`
			Aliases []string
		}
	}
	decode(t, ask("https://login.microsoftonline.us").raw, &doc)
	if doc.Discovery != "https://login.microsoftonline.us/"+tenantID+"/v2.0/.well-known/openid-configuration" {
		t.Error(doc.Discovery)
	}
	if m := doc.Metadata[0]; m.Network != "login.microsoftonline.com" || m.Cache != "login.windows.net" || !slices.Contains(m.Aliases, "sts.windows.net") {
		t.Errorf("%+v", m)
	}
	if got := ask(s.URL); got.status != 400 || got.Error != "invalid_instance" || !slices.Equal(got.Codes, []int{50049}) {
		t.Error(got.raw)
	}
}

// What no client should send is reported and refused. Each case is one complaint.
func TestUnexpected(t *testing.T) {
	r := &recorder{T: t}
	s := entratest.New(r)
	s.Register(app(s))
	direct, proxied := client(t, s, false), client(t, s, true)
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
		"query":       {direct, func(f url.Values) *http.Request { return change(tokenRequest(s.URL, tenantID, f), "?x=y") }, 400},
		"path":        {direct, func(f url.Values) *http.Request { return change(tokenRequest(s.URL, tenantID, f), "/more") }, 404},
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
			got, err := do(test.c, test.req(form(s.Assertion(entratest.Claims{Subject: subject}))))
			if got.status != test.status || (err != nil) != (test.status == 0) {
				t.Errorf("%v %d %s", err, got.status, got.raw)
			}
			if complaints := r.taken(); len(complaints) != 1 || !strings.HasPrefix(complaints[0], "entratest: ") {
				t.Errorf("complaints %q", complaints)
			}
		})
	}
	if s.Issued() != 0 {
		t.Errorf("%d tokens issued", s.Issued())
	}
}

// change appends to a request's URL.
func change(req *http.Request, suffix string) *http.Request {
	u, err := url.Parse(req.URL.String() + suffix)
	if err != nil {
		panic(err)
	}
	req.URL = u
	return req
}

// named is a client that asks for a TLS server name.
func named(t *testing.T, s *entratest.Server, name string) *http.Client {
	c := client(t, s, false)
	c.Transport.(*http.Transport).TLSClientConfig.ServerName = name
	return c
}

func githubRequest(rawURL, token, audience string) *http.Request {
	req, err := http.NewRequest("GET", rawURL+"&audience="+url.QueryEscape(audience), nil)
	if err != nil {
		panic(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "bearer "+token)
	}
	return req
}

func TestGitHub(t *testing.T) {
	s := entratest.New(t)
	const workflow = "repo:octo-org/octo-repo:ref:refs/heads/main"
	a := app(s)
	a.Federated = []entratest.FederatedCredential{{Issuer: "https://token.actions.githubusercontent.com", Subject: workflow}}
	s.Register(a)
	rawURL, token := s.GitHub(workflow)
	if rawURL != "https://token.actions.githubusercontent.com/github/oidc?api-version=2.0" {
		t.Fatal(rawURL)
	}
	c, direct := client(t, s, true), client(t, s, false)
	ask := func(c *http.Client, rawURL, token string) (answer, string) {
		t.Helper()
		got, err := do(c, githubRequest(rawURL, token, "api://AzureADTokenExchange"))
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Count int
			Value string
		}
		if got.status == 200 {
			decode(t, got.raw, &body)
		}
		return got, body.Value
	}
	if got, _ := ask(c, rawURL, "wrong"); got.status != 401 {
		t.Errorf("wrong bearer: %d", got.status)
	}
	s.FailGitHub(1, entratest.Failure{Status: 503, Body: "<html>unicorn</html>"})
	if got, _ := ask(c, rawURL, token); got.status != 503 {
		t.Errorf("FailGitHub: %d", got.status)
	}
	_, assertion := ask(c, rawURL, token)
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(assertion, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Subject != workflow || claims.Issuer != "https://token.actions.githubusercontent.com" || claims.ExpiresAt.Sub(claims.IssuedAt.Time) != 5*time.Minute {
		t.Errorf("%+v", claims)
	}
	if got := exchange(t, s, direct, form(assertion)); got.status != 200 {
		t.Errorf("exchange: %s", got.raw)
	}
	// The cluster's key is not GitHub's, whatever the claims say.
	posing := s.Assertion(entratest.Claims{Issuer: "https://token.actions.githubusercontent.com", Subject: workflow})
	if got := exchange(t, s, direct, form(posing)); !slices.Equal(got.Codes, []int{700027}) {
		t.Errorf("posing: %s", got.raw)
	}
	_, path, _ := strings.Cut(rawURL, "githubusercontent.com")
	if got, _ := ask(direct, s.URL+path, token); got.status != 200 {
		t.Errorf("directly: %d", got.status)
	}
	if s.GitHubRequests() != 4 {
		t.Errorf("%d requests", s.GitHubRequests())
	}
}

const (
	subscription = "/subscriptions/44444444-dddd-4444-8888-000000000001"
	clusterID    = subscription + "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c"
	credential   = "/listClusterUserCredential?api-version=2024-09-01&format=exec"
)

// armRequest asks Azure Resource Manager at base for the credential of a cluster's users.
func armRequest(base, id, query, token string) *http.Request {
	req, err := http.NewRequest("POST", base+id+query, nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

// armAnswer is what Azure Resource Manager says, of either kind.
type armAnswer struct {
	status      int
	header      http.Header
	Kubeconfigs []struct {
		Name  string
		Value []byte
	}
	Error struct{ Code, Message string }
}

// kubeconfig is the one that a good answer has, else "".
func (a armAnswer) kubeconfig() string {
	if a.status != 200 || len(a.Kubeconfigs) != 1 || a.Kubeconfigs[0].Name != "clusterUser" {
		return ""
	}
	return string(a.Kubeconfigs[0].Value)
}

func askARM(t *testing.T, c *http.Client, req *http.Request) armAnswer {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := armAnswer{status: resp.StatusCode, header: resp.Header}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(body, &a) // what is not in its form stays empty
	return a
}

// tokenFor is an access token of the client for an audience.
func tokenFor(t *testing.T, s *entratest.Server, tenant, clientID, audience string) string {
	t.Helper()
	f := form(s.Assertion(entratest.Claims{Subject: subject}))
	f.Set("client_id", clientID)
	f.Set("scope", audience+"/.default")
	got, err := do(client(t, s, false), tokenRequest(s.URL, tenant, f))
	if err != nil || got.AccessToken == "" {
		t.Fatalf("%v %s", err, got.raw)
	}
	return got.AccessToken
}

func TestResourceManager(t *testing.T) {
	s := start(t)
	users := []string{clientID}
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: users, Kubeconfig: "kind: Config", PublicKubeconfig: "public"})
	users[0] = "changed after RegisterCluster"
	c := client(t, s, true)
	for host, audience := range map[string]string{
		"management.azure.com": "https://management.core.windows.net/", "management.usgovcloudapi.net": "https://management.core.usgovcloudapi.net",
		"management.chinacloudapi.cn": "https://management.chinacloudapi.cn",
	} {
		got := askARM(t, c, armRequest("https://"+host, clusterID, credential, tokenFor(t, s, tenantID, clientID, audience)))
		if got.kubeconfig() != "kind: Config" || got.header.Get("x-ms-correlation-request-id") == "" {
			t.Errorf("%s: %+v", host, got)
		}
	}
	token, direct := tokenFor(t, s, tenantID, clientID, "https://management.azure.com"), client(t, s, false)
	if got := askARM(t, direct, armRequest(s.URL, clusterID, credential+"&server-fqdn=public", token)); got.kubeconfig() != "public" {
		t.Errorf("%+v", got)
	}
	s.FailResourceManager(1, entratest.Failure{Status: 429, Header: http.Header{"Retry-After": {"1"}}})
	if got := askARM(t, direct, armRequest(s.URL, clusterID, credential, token)); got.status != 429 || got.header.Get("Retry-After") != "1" {
		t.Errorf("FailResourceManager: %+v", got)
	}
	if s.ResourceManagerRequests() != 5 {
		t.Errorf("%d requests", s.ResourceManagerRequests())
	}
}

func TestResourceManagerRefuses(t *testing.T) {
	s := start(t)
	const otherTenant, otherClient = "11111111-2222-4333-8444-666666666666", "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	for _, tenant := range []string{tenantID, otherTenant} {
		for _, id := range []string{clientID, otherClient} {
			a := app(s)
			a.Tenant, a.ClientID, a.TenantDomain = tenant, id, ""
			s.Register(a)
		}
	}
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: []string{clientID}})
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID + "2"})
	const arm, audience = "https://management.azure.com", "https://management.core.windows.net"
	good := tokenFor(t, s, tenantID, clientID, audience)
	other, stranger := tokenFor(t, s, tenantID, otherClient, audience), tokenFor(t, s, otherTenant, clientID, audience)
	forCluster := tokenFor(t, s, tenantID, clientID, entratest.AKSServerID)
	s.SetLife(-time.Minute)
	expired := tokenFor(t, s, tenantID, clientID, audience)
	c := client(t, s, true)
	for _, test := range []struct {
		name, base, id, token string
		status                int
		code, text            string
	}{
		{"no role", arm, clusterID, other, 403, "AuthorizationFailed", "over scope '" + clusterID + "' or the scope is invalid"},
		{"no role on this one", arm, clusterID + "2", good, 403, "AuthorizationFailed", "The client '" + clientID + "'"},
		{"no role and no cluster", arm, clusterID + "3", other, 403, "AuthorizationFailed", "managedClusters/c3'"},
		{"no cluster", arm, clusterID + "3", good, 404, "ResourceNotFound", "'Microsoft.ContainerService/managedClusters/c3' under resource group 'rg'"},
		{"no group", arm, strings.Replace(clusterID, "/rg/", "/gone/", 1), good, 404, "ResourceGroupNotFound", "'gone'"},
		{"no subscription", arm, strings.Replace(clusterID, "44444444-", "55555555-", 1), good, 404, "SubscriptionNotFound", "'55555555-dddd-4444-8888-000000000001'"},
		{"tenant", arm, clusterID, stranger, 401, "InvalidAuthenticationTokenTenant", "It must match the tenant 'https://sts.windows.net/" + tenantID + "/'"},
		{"audience", arm, clusterID, forCluster, 401, "InvalidAuthenticationTokenAudience", "'https://management.core.windows.net','https://management.azure.com/'"},
		{"cloud", "https://management.chinacloudapi.cn", clusterID, good, 401, "InvalidAuthenticationTokenAudience", "'https://management.core.chinacloudapi.cn/'"},
		{"expired", arm, clusterID, expired, 401, "ExpiredAuthenticationToken", ""},
		{"no token", arm, clusterID, "x", 401, "InvalidAuthenticationToken", ""},
	} {
		got := askARM(t, c, armRequest(test.base, test.id, credential, test.token))
		if got.status != test.status || got.Error.Code != test.code || !strings.Contains(got.Error.Message, test.text) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// What no client of Azure Resource Manager should send is reported.
func TestResourceManagerIsStrict(t *testing.T) {
	r := &recorder{T: t}
	s := entratest.New(r)
	s.Register(app(s))
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: []string{clientID}})
	token := tokenFor(t, s, tenantID, clientID, "https://management.azure.com")
	const arm = "https://management.azure.com"
	c := client(t, s, true)
	for name, test := range map[string]struct {
		req    *http.Request
		status int
	}{
		"no version":       {armRequest(arm, clusterID, "/listClusterUserCredential?format=exec", token), 400},
		"preview":          {armRequest(arm, clusterID, "/listClusterUserCredential?api-version=2024-09-02-preview&format=exec", token), 400},
		"no format":        {armRequest(arm, clusterID, "/listClusterUserCredential?api-version=2024-09-01", token), 400},
		"parameter":        {armRequest(arm, clusterID, credential+"&more=1", token), 400},
		"fqdn":             {armRequest(arm, clusterID, credential+"&server-fqdn=private", token), 400},
		"body":             {withBody(armRequest(arm, clusterID, credential, token)), 400},
		"no authorization": {without(armRequest(arm, clusterID, credential, token), "Authorization"), 401},
		"method":           {withMethod(armRequest(arm, clusterID, credential, token), "GET"), 404},
		"admin":            {armRequest(arm, clusterID, "/listClusterAdminCredential?api-version=2024-09-01", token), 404},
		"type":             {armRequest(arm, strings.Replace(clusterID, "managedClusters", "fleets", 1), credential, token), 404},
		"other host":       {armRequest("https://login.microsoftonline.com", clusterID, credential, token), 404},
	} {
		if got := askARM(t, c, test.req); got.status != test.status {
			t.Errorf("%s: %+v", name, got)
		}
		if complaints := r.taken(); len(complaints) != 1 || !strings.HasPrefix(complaints[0], "entratest: ") {
			t.Errorf("%s: complaints %q", name, complaints)
		}
	}
}

func withBody(req *http.Request) *http.Request {
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("{}")), 2
	return req
}

func without(req *http.Request, header string) *http.Request {
	req.Header.Del(header)
	return req
}

func withMethod(req *http.Request, method string) *http.Request {
	req.Method = method
	return req
}

// proxyClient speaks to the token proxy as azidentity does: the proxy's address, Entra's Host, the SNI asked for.
func proxyClient(t *testing.T, caFile, sni string) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots(t, caFile), ServerName: sni}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestTokenProxy(t *testing.T) {
	r := &recorder{T: t}
	s := entratest.New(r)
	s.Register(app(s))
	const sni = "aks.ests.example"
	send := func(c *http.Client) (answer, error) {
		req := tokenRequest(s.TokenProxyURL(), tenantID, form(s.Assertion(entratest.Claims{Subject: subject})))
		req.Host = "login.microsoftonline.com"
		return do(c, req)
	}
	if got, err := send(proxyClient(t, s.TokenProxyCAFile, "")); err != nil || got.status != 200 {
		t.Errorf("without SNI: %v %s", err, got.raw)
	}
	s.SetSNI(sni)
	if got, err := send(proxyClient(t, s.TokenProxyCAFile, sni)); err != nil || got.status != 200 {
		t.Errorf("with SNI: %v %s", err, got.raw)
	}
	if s.ProxiedTokenRequests() != 2 || s.TokenRequests() != 2 {
		t.Errorf("%d of %d requests were proxied", s.ProxiedTokenRequests(), s.TokenRequests())
	}
	if got, want := s.Requests()[1], "POST login.microsoftonline.com /token-proxy/"+tenantID+"/oauth2/v2.0/token"; got != want {
		t.Errorf("request %q, want %q", got, want)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := send(proxyClient(t, s.CAFile, sni)); !errors.As(err, &unknown) {
		t.Errorf("Entra's CA: %v", err)
	}
	if complaints := r.taken(); len(complaints) != 0 {
		t.Errorf("complaints %q", complaints)
	}
	if _, err := send(proxyClient(t, s.TokenProxyCAFile, "")); err == nil {
		t.Error("SNI was not required")
	}
	if complaints := r.taken(); len(complaints) != 1 || !strings.Contains(complaints[0], sni) {
		t.Errorf("complaints %q", complaints)
	}
}

func TestUntrustedCA(t *testing.T) {
	s := start(t)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}}
	var unknown x509.UnknownAuthorityError
	if _, err := c.Get(s.URL); !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
	if s.TokenRequests() != 0 || s.Connections() != 1 {
		t.Errorf("%d requests, %d connections", s.TokenRequests(), s.Connections())
	}
}

func TestHTTP1(t *testing.T) {
	s := start(t)
	c := client(t, s, false)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	for range 2 {
		if got := exchange(t, s, c, form(s.Assertion(entratest.Claims{Subject: subject}))); got.status != 200 || got.proto != "HTTP/1.1" {
			t.Errorf("%s %s", got.proto, got.raw)
		}
	}
	if s.Connections() != 1 {
		t.Errorf("%d connections", s.Connections())
	}
}

func TestRegisterResource(t *testing.T) {
	s := start(t)
	s.RegisterResource(tenantID, "api://our-api")
	f := form(s.Assertion(entratest.Claims{Subject: subject}))
	f.Set("scope", "api://our-api/.default")
	got := exchange(t, s, client(t, s, false), f)
	if _, err := s.Verify(got.AccessToken, "api://our-api"); err != nil {
		t.Error(err)
	}
}

// After its test a server is gone, with whatever still waited at it.
func TestClose(t *testing.T) {
	var addr string
	failed := make(chan error)
	t.Run("open", func(t *testing.T) {
		s := start(t)
		addr = strings.TrimPrefix(s.URL, "https://")
		s.Hold()
		c := client(t, s, true)
		go func() {
			_, err := do(c, tokenRequest("https://login.microsoftonline.com", tenantID, form("x")))
			failed <- err
		}()
		if !s.WaitTokenRequests(1, soon) {
			t.Fatal("the request did not arrive")
		}
	})
	if err := <-failed; err == nil {
		t.Error("the held request was answered")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the server still listens")
	}
}
