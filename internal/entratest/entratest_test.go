package entratest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/akslogin/akslogin/internal/entratest"
)

const (
	tenantID    = "11111111-2222-4333-8444-555555555555"
	domain      = "contoso.onmicrosoft.com"
	clientID    = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	subject     = "system:serviceaccount:airflow:worker"
	jwtType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	testTimeout = 10 * time.Second // more than any wait here takes
)

// app is the application of all tests; it trusts the cluster of s.
func app(s *entratest.Server) entratest.App {
	return entratest.App{
		Tenant: tenantID, TenantDomain: domain, ClientID: clientID,
		FederatedCredentials: []entratest.FederatedCredential{{Issuer: s.Issuer, Subject: subject}},
	}
}

func newServer(t *testing.T) *entratest.Server {
	t.Helper()
	s := entratest.New(t)
	s.Register(app(s))
	return s
}

// recorder is a TB whose complaints are the result of a test.
type recorder struct {
	*testing.T
	mu      sync.Mutex
	reports []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, fmt.Sprintf(format, args...))
}

func (r *recorder) takeReports() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.reports
	r.reports = nil
	return taken
}

func certPool(t *testing.T, file string) *x509.CertPool {
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

// newClient trusts the CA of s. With a proxy it reaches the real names.
func newClient(t *testing.T, s *entratest.Server, viaProxy bool) *http.Client {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: certPool(t, s.CAFile)},
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

func assertionForm(assertion string) url.Values {
	return url.Values{
		"client_assertion":      {assertion},
		"client_assertion_type": {jwtType},
		"client_id":             {clientID},
		"client_info":           {"1"},
		"grant_type":            {"client_credentials"},
		"scope":                 {entratest.AKSServerID + "/.default openid offline_access profile"},
	}
}

type response struct {
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

// doRequest sends a request and reads the answer; JSON in it is decoded.
func doRequest(c *http.Client, req *http.Request) (response, error) {
	resp, err := c.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return response{}, err
	}
	a := response{status: resp.StatusCode, header: resp.Header, proto: resp.Proto, raw: string(body)}
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
func exchange(t *testing.T, s *entratest.Server, c *http.Client, f url.Values) response {
	t.Helper()
	a, err := doRequest(c, tokenRequest(s.URL, tenantID, f))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func getURL(t *testing.T, c *http.Client, rawURL string) response {
	t.Helper()
	req, err := http.NewRequest("GET", rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := doRequest(c, req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func decodeJSON(t *testing.T, raw string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), into); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
}

func decodeBase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	alice = "Alice@contoso.onmicrosoft.com"

	alicePassword = "correct horse"

	aksClient = "80faf920-1908-4b52-b5ef-a8e7bedfc67a" // in every kubeconfig of az aks get-credentials

	cliClient = "04b07795-8ddb-461a-bbee-02f9e1bf7b46" // the Azure CLI

	otherTenant = "22222222-3333-4444-8555-666666666666"

	aksScope = entratest.AKSServerID + "/.default"

	armScope = "https://management.core.windows.net//.default"

	oidcScopes = " openid offline_access profile"
)

// newServerWithUsers is a server with people in two tenants.
func newServerWithUsers(tb entratest.TB) *entratest.Server {
	s := entratest.New(tb)
	s.Register(app(s))
	s.RegisterUser(entratest.User{Tenant: tenantID, Name: alice, Password: alicePassword, Groups: []string{"group-1"}})
	s.RegisterUser(entratest.User{Tenant: tenantID, Name: "mia@contoso.onmicrosoft.com", Password: "m", MFA: true})
	s.RegisterUser(entratest.User{Tenant: tenantID, Name: "dora@contoso.onmicrosoft.com", Password: "d", AADSTS: 50057})
	s.RegisterUser(entratest.User{Tenant: otherTenant, Name: "oscar@fabrikam.example", Password: "o"})
	return s
}

// clientOptions make azidentity ask s, through a transport that trusts it.
func clientOptions(t *testing.T, s *entratest.Server) azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: s.URL},
		Transport: newClient(t, s, false),
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*testTimeout)
	t.Cleanup(cancel)
	return ctx
}

var aksTokenOptions = policy.TokenRequestOptions{Scopes: []string{aksScope}}

// wantClaims fails unless a token has the claims; nil means that it must not have it.
func wantClaims(t *testing.T, claims map[string]any, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if !reflect.DeepEqual(claims[name], value) {
			t.Errorf("claim %s: %v, want %v", name, claims[name], value)
		}
	}
}

func verifiedClaims(t *testing.T, s *entratest.Server, token string) map[string]any {
	t.Helper()
	claims, err := s.Verify(token, entratest.AKSServerID)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// wantOAuthRequests fails unless the requests were these, each as "endpoint tenant parameters",
// without what differs from run to run.
func wantOAuthRequests(t *testing.T, s *entratest.Server, want ...string) {
	t.Helper()
	var got []string
	for _, r := range s.OAuthRequests() {
		got = append(got, r.Endpoint+" "+r.Tenant+" "+strings.Join(slices.Sorted(maps.Keys(r.Form)), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// userResponse is what a person's answer has beside the access token.
type userResponse struct {
	Error        string `json:"error"`
	Codes        []int  `json:"error_codes"`
	Description  string `json:"error_description"`
	Suberror     string `json:"suberror"`
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope"`
	IDToken      string `json:"id_token"`
	ClientInfo   string `json:"client_info"`
	RefreshToken string `json:"refresh_token"`
	Family       string `json:"foci"`
	DeviceCode   string `json:"device_code"`
	UserCode     string `json:"user_code"`
	Interval     int    `json:"interval"`
	ExpiresIn    int    `json:"expires_in"`
	Message      string `json:"message"`
	Page         string `json:"verification_uri"`
}

// post sends a form to one of Entra's endpoints.
func post(t *testing.T, c *http.Client, s *entratest.Server, tenant, endpoint string, f url.Values) (int, userResponse) {
	t.Helper()
	req, err := http.NewRequest("POST", s.URL+"/"+tenant+"/oauth2/v2.0/"+endpoint, strings.NewReader(f.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	a, err := doRequest(c, req)
	if err != nil {
		t.Fatal(err)
	}
	var p userResponse
	decodeJSON(t, a.raw, &p)
	return a.status, p
}

// A refusalCase is a token request that Entra refuses.
type refusalCase struct {
	name   string
	tenant string
	form   url.Values
	code   int
	error  string
	status int
}

// testRefusals runs the cases, none of which is reported or gets a token.
func testRefusals(t *testing.T, s *entratest.Server, cases []refusalCase) {
	c := newClient(t, s, false)
	issued := s.Issued()
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			status, got := post(t, c, s, test.tenant, "token", test.form)
			if status != test.status || got.Error != test.error || !slices.Equal(got.Codes, []int{test.code}) || !strings.HasPrefix(got.Description, fmt.Sprintf("AADSTS%d: ", test.code)) {
				t.Errorf("%d %+v", status, got)
			}
			if strings.ContainsAny(strings.ReplaceAll(got.Description, "{EmailHidden}", ""), "{}") {
				t.Errorf("description %q has a word that was not filled in", got.Description)
			}
		})
	}
	if s.Issued() != issued {
		t.Errorf("%d tokens issued", s.Issued()-issued)
	}
}

// withValues is a form with other values; "" takes a parameter out.
func withValues(f url.Values, pairs ...string) url.Values {
	f = maps.Clone(f)
	for pair := range slices.Chunk(pairs, 2) {
		f.Set(pair[0], pair[1])
		if pair[1] == "" {
			f.Del(pair[0])
		}
	}
	return f
}

func passwordForm(name, password string) url.Values {
	return url.Values{
		"client_id": {aksClient}, "client_info": {"1"}, "grant_type": {"password"}, "password": {password}, "scope": {aksScope + oidcScopes}, "username": {name},
	}
}
