package entratest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/internal/entratest"
)

func TestPassword(t *testing.T) {
	s := newServerWithUsers(t)
	//lint:ignore SA1019 people use it
	cred, err := azidentity.NewUsernamePasswordCredential(tenantID, aksClient, alice, alicePassword, &azidentity.UsernamePasswordCredentialOptions{ClientOptions: clientOptions(t, s), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	token, err := cred.GetToken(testContext(t), aksTokenOptions)
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, verifiedClaims(t, s, token.Token), map[string]any{"upn": alice, "scp": "user_impersonation"})
	wantOAuthRequests(t, s, "token "+tenantID+" client_id client_info grant_type password scope username")
	if got := s.Requests(); len(got) != 3 || got[1] != "GET "+strings.TrimPrefix(s.URL, "https://")+" /common/UserRealm/"+alice+"?api-version=1.0" {
		t.Errorf("%q", got)
	}
	if !slices.Contains(s.SeenSecrets(), alicePassword) {
		t.Errorf("seen %q", s.SeenSecrets())
	}
}

func TestPasswordRefuses(t *testing.T) {
	s := newServerWithUsers(t)
	good := passwordForm(alice, alicePassword)
	s.Register(entratest.App{Tenant: tenantID, ClientID: "one-tenant", Public: true})
	testRefusals(t, s, []refusalCase{
		{"wrong", tenantID, withValues(good, "password", "guess"), 50126, "invalid_grant", 400},
		{"nobody", tenantID, withValues(good, "username", "nobody@contoso.onmicrosoft.com"), 50034, "invalid_grant", 400},
		{"another tenant's", tenantID, passwordForm("oscar@fabrikam.example", "o"), 50020, "invalid_grant", 400},
		{"second factor", tenantID, passwordForm("mia@contoso.onmicrosoft.com", "m"), 50076, "invalid_grant", 400},
		{"disabled", tenantID, passwordForm("dora@contoso.onmicrosoft.com", "d"), 50057, "invalid_grant", 400},
		{"disabled and wrong", tenantID, passwordForm("dora@contoso.onmicrosoft.com", "x"), 50126, "invalid_grant", 400},
		{"no password", tenantID, withValues(good, "password", ""), 900144, "invalid_request", 400},
		{"common", "common", good, 9001023, "invalid_request", 400},
		{"consumers", "consumers", good, 50059, "invalid_request", 400},
		{"confidential client", tenantID, withValues(good, "client_id", clientID), 7000218, "invalid_client", 401},
		{"one tenant's client", "organizations", withValues(good, "client_id", "one-tenant"), 50194, "invalid_request", 400},
		{"unknown client", "organizations", withValues(good, "client_id", "someone"), 700016, "unauthorized_client", 400},
		{"resource", tenantID, withValues(good, "scope", "not-there/.default"), 500011, "invalid_resource", 400},
		{"two resources", tenantID, withValues(good, "scope", aksScope+" "+armScope), 70011, "invalid_scope", 400},
	})
	// The same client in a second tenant is a multi-tenant one.
	s.Register(entratest.App{Tenant: otherTenant, ClientID: "one-tenant", Public: true})
	if status, got := post(t, newClient(t, s, false), s, "organizations", "token", withValues(good, "client_id", "one-tenant")); status != 200 {
		t.Errorf("%d %+v", status, got)
	}
}
