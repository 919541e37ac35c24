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
	a.FederatedCredentials = []entratest.FederatedCredential{{Issuer: "https://token.actions.githubusercontent.com", Subject: workflow}}
	s.Register(a)
	rawURL, token := s.StartWorkflow(workflow)
	if rawURL != "https://token.actions.githubusercontent.com/github/oidc?api-version=2.0" {
		t.Fatal(rawURL)
	}
	c, direct := newClient(t, s, true), newClient(t, s, false)
	ask := func(c *http.Client, rawURL, token string) (response, string) {
		t.Helper()
		got, err := doRequest(c, githubRequest(rawURL, token, "api://AzureADTokenExchange"))
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Count int
			Value string
		}
		if got.status == 200 {
			decodeJSON(t, got.raw, &body)
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
	if got := exchange(t, s, direct, assertionForm(assertion)); got.status != 200 {
		t.Errorf("exchange: %s", got.raw)
	}
	// The cluster's key is not StartWorkflow's, whatever the claims say.
	posing := s.Assertion(entratest.Claims{Issuer: "https://token.actions.githubusercontent.com", Subject: workflow})
	if got := exchange(t, s, direct, assertionForm(posing)); !slices.Equal(got.Codes, []int{700027}) {
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
