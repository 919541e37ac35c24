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
	//lint:ignore SA1019 the password login is deprecated but still in use
	options := azidentity.UsernamePasswordCredentialOptions{
		ClientOptions: clientOptions(t, s), DisableInstanceDiscovery: true,
	}
	cred, err := azidentity.NewUsernamePasswordCredential(
		tenantID, aksClient, alice, alicePassword, &options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := cred.GetToken(testContext(t), aksTokenOptions)
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, verifiedClaims(t, s, token.Token), map[string]any{
		"upn": alice, "scp": "user_impersonation",
	})
	wantOAuthRequests(t, s,
		"token "+tenantID+" client_id client_info grant_type password scope username")
	realm := "GET " + strings.TrimPrefix(s.URL, "https://") + " /common/UserRealm/" + alice +
		"?api-version=1.0"
	if got := s.Requests(); len(got) != 3 || got[1] != realm {
		t.Errorf("requests %q", got)
	}
	if !slices.Contains(s.SeenSecrets(), alicePassword) {
		t.Errorf("secrets %q", s.SeenSecrets())
	}
}

func TestPasswordRefuses(t *testing.T) {
	s := newServerWithUsers(t)
	const singleTenantApp = "one-tenant"
	valid := passwordForm(alice, alicePassword)
	s.Register(entratest.App{Tenant: tenantID, ClientID: singleTenantApp, Public: true})
	testRefusals(t, s, []refusalCase{
		{"wrong password", tenantID, withValues(valid, "password", "guess"), 50126, "invalid_grant", 400},
		{"unknown user", tenantID, withValues(valid, "username", unknownUser), 50034, "invalid_grant", 400},
		{"user of another tenant", tenantID, passwordForm(otherTenantUser, "o"), 50020, "invalid_grant", 400},
		{"second factor", tenantID, passwordForm(mfaUser, "m"), 50076, "invalid_grant", 400},
		{"disabled", tenantID, passwordForm(disabledUser, "d"), 50057, "invalid_grant", 400},
		{"disabled, wrong password", tenantID, passwordForm(disabledUser, "x"), 50126, "invalid_grant", 400},
		{"no password", tenantID, withValues(valid, "password", ""), 900144, "invalid_request", 400},
		{"common", "common", valid, 9001023, "invalid_request", 400},
		{"consumers", "consumers", valid, 50059, "invalid_request", 400},
		{"confidential client", tenantID, withValues(valid, "client_id", clientID), 7000218, "invalid_client", 401},
		{"single-tenant client", "organizations", withValues(valid, "client_id", singleTenantApp), 50194, "invalid_request", 400},
		{"unknown client", "organizations", withValues(valid, "client_id", "someone"), 700016, "unauthorized_client", 400},
		{"unknown resource", tenantID, withValues(valid, "scope", "not-there/.default"), 500011, "invalid_resource", 400},
		{"two resources", tenantID, withValues(valid, "scope", aksScope+" "+armScope), 70011, "invalid_scope", 400},
	})
	// A client that is registered in a second tenant is a multi-tenant client.
	s.Register(entratest.App{Tenant: otherTenant, ClientID: singleTenantApp, Public: true})
	f := withValues(valid, "client_id", singleTenantApp)
	if got := post(t, directClient(t, s), s, "organizations", "token", f); got.status != 200 {
		t.Error(got)
	}
}
