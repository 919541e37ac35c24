package entratest_test

import (
	"net/url"
	"slices"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/akslogin/akslogin/internal/entratest"
)

const secret = "Abc8Q~of-a-client"

func TestClientSecret(t *testing.T) {
	s := inhabited(t)
	a := app(s)
	a.Secrets = []string{"older", secret}
	s.Register(a)
	cred, err := azidentity.NewClientSecretCredential(tenantID, clientID, secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: clientOptions(t, s), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	token, err := cred.GetToken(within(t), aksToken)
	if err != nil {
		t.Fatal(err)
	}
	claims := verified(t, s, token.Token)
	claimed(t, claims, map[string]any{"appid": clientID, "appidacr": "1", "idtyp": "app", "oid": claims["sub"], "upn": nil, "tid": tenantID})
	sent(t, s, "token "+tenantID+" client_id client_secret grant_type scope")
	if !slices.Contains(s.SeenSecrets(), secret) {
		t.Errorf("seen %q", s.SeenSecrets())
	}

	good := url.Values{"client_id": {clientID}, "client_secret": {secret}, "grant_type": {"client_credentials"}, "scope": {aksScope + oidc}}
	refused(t, s, []refusedCase{
		{"wrong", tenantID, with(good, "client_secret", "guess"), 7000215, "invalid_client", 401},
		{"none", tenantID, with(good, "client_secret", ""), 7000218, "invalid_client", 401},
		{"public client", tenantID, with(good, "client_id", aksClient), 700025, "invalid_client", 401},
		{"unknown client", tenantID, with(good, "client_id", "someone"), 700016, "unauthorized_client", 400},
		{"shared tenant", "organizations", good, 50059, "invalid_request", 400},
		{"not default", tenantID, with(good, "scope", entratest.AKSServerID+"/user_impersonation"), 1002012, "invalid_scope", 400},
	})
}

// A request proves its client in one way.
func TestTwoProofs(t *testing.T) {
	r := &recorder{T: t}
	s := inhabited(r)
	f := form(s.Assertion(entratest.Claims{Subject: subject}))
	f.Set("client_secret", secret)
	if status, got := post(t, client(t, s, false), s, tenantID, "token", f); status != 400 || len(r.taken()) != 1 {
		t.Errorf("%d %+v", status, got)
	}
}
