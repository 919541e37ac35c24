package entratest_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/golang-jwt/jwt/v5"
)

const githubIssuer = "https://token.actions.githubusercontent.com"

// githubRequest is a request for an ID token. An empty token leaves the Authorization header out.
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

// githubIDToken requests an ID token and returns it, or "" if the status is not 200.
func githubIDToken(
	t *testing.T, c *http.Client, rawURL, token string,
) (idToken string, status int) {
	t.Helper()
	got, err := doRequest(c, githubRequest(rawURL, token, "api://AzureADTokenExchange"))
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Value string }
	if got.status == 200 {
		decodeJSON(t, got.raw, &body)
	}
	return body.Value, got.status
}

func TestGitHub(t *testing.T) {
	s := entratest.New(t)
	const workflow = "repo:octo-org/octo-repo:ref:refs/heads/main"
	app := testApp(s)
	app.FederatedCredentials = []entratest.FederatedCredential{
		{Issuer: githubIssuer, Subject: workflow},
	}
	s.Register(app)
	rawURL, token := s.StartGitHubWorkflow(workflow)
	if rawURL != githubIssuer+"/github/oidc?api-version=2.0" {
		t.Fatal(rawURL)
	}
	proxied, direct := proxyClient(t, s), directClient(t, s)
	if _, status := githubIDToken(t, proxied, rawURL, "wrong"); status != 401 {
		t.Errorf("wrong request token: %d", status)
	}
	s.FailGitHub(1, entratest.Failure{Status: 503, Body: "<html>unicorn</html>"})
	if _, status := githubIDToken(t, proxied, rawURL, token); status != 503 {
		t.Errorf("FailGitHub: %d", status)
	}
	assertion, _ := githubIDToken(t, proxied, rawURL, token)
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(assertion, &claims); err != nil {
		t.Fatal(err)
	}
	lifetime := claims.ExpiresAt.Sub(claims.IssuedAt.Time)
	if claims.Subject != workflow || claims.Issuer != githubIssuer || lifetime != 5*time.Minute {
		t.Errorf("%+v", claims)
	}
	if got := postToken(t, direct, s, assertionForm(assertion)); got.status != 200 {
		t.Errorf("exchange: %v", got)
	}
	// Assertion signs under the workload cluster's key ID, which GitHub's issuer does not publish.
	wrongKeyID := s.Assertion(entratest.Claims{Issuer: githubIssuer, Subject: workflow})
	if got := postToken(t, direct, s, assertionForm(wrongKeyID)); !got.refusedWith(700027) {
		t.Errorf("wrong key ID: %v", got)
	}
	path := strings.TrimPrefix(rawURL, githubIssuer)
	if _, status := githubIDToken(t, direct, s.URL+path, token); status != 200 {
		t.Errorf("without the proxy: %d", status)
	}
	for _, secret := range []string{token, assertion} {
		if !slices.Contains(s.SeenSecrets(), secret) {
			t.Errorf("secrets %q lack %s", s.SeenSecrets(), secret)
		}
	}
	if s.GitHubRequests() != 4 {
		t.Errorf("%d requests", s.GitHubRequests())
	}
}
