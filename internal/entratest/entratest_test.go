package entratest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
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
	otherTenant = "22222222-3333-4444-8555-666666666666"
	clientID    = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	subject     = "system:serviceaccount:airflow:worker"
	jwtType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	testTimeout = 10 * time.Second // far longer than any wait in these tests

	aksClient = "80faf920-1908-4b52-b5ef-a8e7bedfc67a" // what az aks get-credentials writes
	cliClient = "04b07795-8ddb-461a-bbee-02f9e1bf7b46" // the Azure CLI

	publicCloud = "https://login.microsoftonline.com"

	aksScope   = entratest.AKSServerID + "/.default"
	armScope   = "https://management.core.windows.net//.default"
	oidcScopes = " openid offline_access profile"

	alice           = "Alice@contoso.onmicrosoft.com"
	alicePassword   = "correct horse"
	mfaUser         = "mia@contoso.onmicrosoft.com"
	disabledUser    = "dora@contoso.onmicrosoft.com"
	otherTenantUser = "oscar@fabrikam.example"
	unknownUser     = "nobody@contoso.onmicrosoft.com"
)

var aksTokenOptions = policy.TokenRequestOptions{Scopes: []string{aksScope}}

// testApp returns the application that most tests register. It trusts the workload cluster of s.
func testApp(s *entratest.Server) entratest.App {
	return entratest.App{
		Tenant: tenantID, TenantDomain: domain, ClientID: clientID,
		FederatedCredentials: []entratest.FederatedCredential{{Issuer: s.Issuer, Subject: subject}},
	}
}

// newServer starts a server that knows testApp and no users.
func newServer(tb entratest.TB) *entratest.Server {
	s := entratest.New(tb)
	s.Register(testApp(s))
	return s
}

// newServerWithUsers starts a server that knows testApp and users in two tenants.
func newServerWithUsers(tb entratest.TB) *entratest.Server {
	s := newServer(tb)
	for _, user := range []entratest.User{
		{Tenant: tenantID, Name: alice, Password: alicePassword, Groups: []string{"group-1"}},
		{Tenant: tenantID, Name: mfaUser, Password: "m", MFA: true},
		{Tenant: tenantID, Name: disabledUser, Password: "d", AADSTS: 50057},
		{Tenant: otherTenant, Name: otherTenantUser, Password: "o"},
	} {
		s.RegisterUser(user)
	}
	return s
}

// reportRecorder is a TB that records what the server reports instead of failing the test.
type reportRecorder struct {
	*testing.T
	mu      sync.Mutex
	reports []string
}

func (r *reportRecorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, fmt.Sprintf(format, args...))
}

// takeReports returns the reports since the last call.
func (r *reportRecorder) takeReports() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	reports := r.reports
	r.reports = nil
	return reports
}

// wantOneReport fails the test unless the server reported exactly one unexpected request since
// the last call.
func (r *reportRecorder) wantOneReport(t *testing.T) {
	t.Helper()
	reports := r.takeReports()
	if len(reports) != 1 || !strings.HasPrefix(reports[0], "entratest: ") {
		t.Errorf("reports %q, want one", reports)
	}
}

// fatalTB is a TB whose Fatalf panics with the message instead of ending the test.
type fatalTB struct{ *testing.T }

func (fatalTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// wantFatal fails the test unless call makes a server with a fatalTB report want as fatal.
func wantFatal(t *testing.T, name, want string, call func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if message, _ := recover().(string); !strings.Contains(message, want) {
			t.Errorf("%s: fatal %q, want %q", name, message, want)
		}
	}()
	call()
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

// directClient returns a client for s.URL that does not use the proxy. It trusts the CA of s and
// does not follow redirects.
func directClient(t *testing.T, s *entratest.Server) *http.Client {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: certPool(t, s.CAFile)},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// proxyClient returns a client like directClient that uses the CONNECT proxy of s. The real host
// names lead to s through it.
func proxyClient(t *testing.T, s *entratest.Server) *http.Client {
	t.Helper()
	proxyURL, err := url.Parse(s.ProxyURL)
	if err != nil {
		t.Fatal(err)
	}
	c := directClient(t, s)
	c.Transport.(*http.Transport).Proxy = http.ProxyURL(proxyURL)
	return c
}

// disableHTTP2 makes c speak HTTP/1.1 only.
func disableHTTP2(c *http.Client) { c.Transport.(*http.Transport).ForceAttemptHTTP2 = false }

// clientOptions make azidentity send its requests to s.
func clientOptions(t *testing.T, s *entratest.Server) azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: s.URL},
		Transport: directClient(t, s),
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*testTimeout)
	t.Cleanup(cancel)
	return ctx
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

// wantClaims fails the test unless the claims have the wanted values. A wanted nil means that the
// claim must be absent.
func wantClaims(t *testing.T, claims map[string]any, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if !reflect.DeepEqual(claims[name], value) {
			t.Errorf("claim %s: %v, want %v", name, claims[name], value)
		}
	}
}

// verifiedClaims returns the claims of an access token for AKS that s.Verify accepts.
func verifiedClaims(t *testing.T, s *entratest.Server, token string) map[string]any {
	t.Helper()
	claims, err := s.Verify(token, entratest.AKSServerID)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// wantOAuthRequests fails the test unless s received these requests in this order. Each is written
// as "endpoint tenant parameters". Parameters have no values here, since many are random.
func wantOAuthRequests(t *testing.T, s *entratest.Server, want ...string) {
	t.Helper()
	var got []string
	for _, r := range s.OAuthRequests() {
		parameters := strings.Join(slices.Sorted(maps.Keys(r.Form)), " ")
		got = append(got, r.Endpoint+" "+r.Tenant+" "+parameters)
	}
	if !slices.Equal(got, want) {
		t.Errorf("requests\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
