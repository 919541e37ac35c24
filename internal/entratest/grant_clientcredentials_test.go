package entratest_test

import (
	"net/url"
	"slices"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/internal/entratest"
)

const clientSecretValue = "Abc8Q~of-a-client"

func TestClientSecret(t *testing.T) {
	s := newServerWithUsers(t)
	a := app(s)
	a.Secrets = []string{"older", clientSecretValue}
	s.Register(a)
	cred, err := azidentity.NewClientSecretCredential(tenantID, clientID, clientSecretValue, &azidentity.ClientSecretCredentialOptions{ClientOptions: clientOptions(t, s), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	token, err := cred.GetToken(testContext(t), aksTokenOptions)
	if err != nil {
		t.Fatal(err)
	}
	claims := verifiedClaims(t, s, token.Token)
	wantClaims(t, claims, map[string]any{"appid": clientID, "appidacr": "1", "idtyp": "app", "oid": claims["sub"], "upn": nil, "tid": tenantID})
	wantOAuthRequests(t, s, "token "+tenantID+" client_id client_secret grant_type scope")
	if !slices.Contains(s.SeenSecrets(), clientSecretValue) {
		t.Errorf("seen %q", s.SeenSecrets())
	}

	good := url.Values{"client_id": {clientID}, "client_secret": {clientSecretValue}, "grant_type": {"client_credentials"}, "scope": {aksScope + oidcScopes}}
	testRefusals(t, s, []refusalCase{
		{"wrong", tenantID, withValues(good, "client_secret", "guess"), 7000215, "invalid_client", 401},
		{"none", tenantID, withValues(good, "client_secret", ""), 7000218, "invalid_client", 401},
		{"public client", tenantID, withValues(good, "client_id", aksClient), 700025, "invalid_client", 401},
		{"unknown client", tenantID, withValues(good, "client_id", "someone"), 700016, "unauthorized_client", 400},
		{"shared tenant", "organizations", good, 50059, "invalid_request", 400},
		{"not default", tenantID, withValues(good, "scope", entratest.AKSServerID+"/user_impersonation"), 1002012, "invalid_scope", 400},
	})
}

// A request proves its client in one way.
func TestSecretAndAssertionAreRefused(t *testing.T) {
	r := &recorder{T: t}
	s := newServerWithUsers(r)
	f := assertionForm(s.Assertion(entratest.Claims{Subject: subject}))
	f.Set("client_secret", clientSecretValue)
	if status, got := post(t, newClient(t, s, false), s, tenantID, "token", f); status != 400 || len(r.takeReports()) != 1 {
		t.Errorf("%d %+v", status, got)
	}
}
