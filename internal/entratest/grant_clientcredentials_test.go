package entratest_test

import (
	"net/url"
	"slices"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/internal/entratest"
)

const clientSecret = "Abc8Q~of-a-client"

func TestClientSecret(t *testing.T) {
	s := newServerWithUsers(t)
	app := testApp(s)
	app.Secrets = []string{"older", clientSecret}
	s.Register(app)
	cred, err := azidentity.NewClientSecretCredential(tenantID, clientID, clientSecret,
		&azidentity.ClientSecretCredentialOptions{
			ClientOptions: clientOptions(t, s), DisableInstanceDiscovery: true,
		})
	if err != nil {
		t.Fatal(err)
	}
	token, err := cred.GetToken(testContext(t), aksTokenOptions)
	if err != nil {
		t.Fatal(err)
	}
	claims := verifiedClaims(t, s, token.Token)
	wantClaims(t, claims, map[string]any{
		"appid": clientID, "appidacr": "1", "idtyp": "app",
		"oid": claims["sub"], "upn": nil, "tid": tenantID,
	})
	wantOAuthRequests(t, s, "token "+tenantID+" client_id client_secret grant_type scope")
	if !slices.Contains(s.SeenSecrets(), clientSecret) {
		t.Errorf("secrets %q", s.SeenSecrets())
	}

	valid := url.Values{
		"client_id":     {clientID},
		"client_secret": {clientSecret},
		"grant_type":    {"client_credentials"},
		"scope":         {aksScope + oidcScopes},
	}
	delegated := entratest.AKSServerID + "/user_impersonation"
	testRefusals(t, s, []refusalCase{
		{"wrong secret", tenantID, withValues(valid, "client_secret", "guess"), 7000215, "invalid_client", 401},
		{"no secret", tenantID, withValues(valid, "client_secret", ""), 7000218, "invalid_client", 401},
		{"public client", tenantID, withValues(valid, "client_id", aksClient), 700025, "invalid_client", 401},
		{"unknown client", tenantID, withValues(valid, "client_id", "someone"), 700016, "unauthorized_client", 400},
		{"shared tenant", "organizations", valid, 50059, "invalid_request", 400},
		{"delegated scope", tenantID, withValues(valid, "scope", delegated), 1002012, "invalid_scope", 400},
	})
}

// A request that authenticates its client in two ways is refused and reported.
func TestSecretAndAssertionAreRefused(t *testing.T) {
	r := &reportRecorder{T: t}
	s := newServerWithUsers(r)
	f := withValues(validForm(s), "client_secret", clientSecret)
	if got := postToken(t, directClient(t, s), s, f); got.status != 400 {
		t.Error(got)
	}
	r.wantOneReport(t)
}
