package entratest_test

import (
	"net/url"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

func TestRefreshToken(t *testing.T) {
	s := newServerWithUsers(t)
	c := newClient(t, s, false)
	_, first := post(t, c, s, tenantID, "token", withValues(passwordForm(alice, alicePassword), "client_id", cliClient))
	f := url.Values{"client_id": {cliClient}, "client_info": {"1"}, "grant_type": {"refresh_token"}, "refresh_token": {first.RefreshToken}, "scope": {armScope + oidcScopes}}
	_, second := post(t, c, s, "organizations", "token", f)
	claims, err := s.Verify(second.AccessToken, "https://management.core.windows.net/")
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, claims, map[string]any{"upn": alice, "tid": tenantID})
	if second.RefreshToken == "" || second.RefreshToken == first.RefreshToken || second.Family != "1" || second.IDToken == "" {
		t.Errorf("%+v", second)
	}
	if status, got := post(t, c, s, tenantID, "token", f); status != 200 {
		t.Errorf("the former token: %d %+v", status, got)
	}
	testRefusals(t, s, []refusalCase{
		{"unknown", tenantID, withValues(f, "refresh_token", "guess"), 70000, "invalid_grant", 400},
		{"no family", tenantID, withValues(f, "client_id", aksClient), 70000, "invalid_grant", 400},
		{"another tenant", otherTenant, f, 50020, "invalid_grant", 400},
		{"scope", tenantID, withValues(f, "scope", "openid"), 70011, "invalid_scope", 400},
	})

	s.RevokeRefreshTokens(alice)
	testRefusals(t, s, []refusalCase{{"revoked", tenantID, f, 50173, "invalid_grant", 400}})
	_, third := post(t, c, s, tenantID, "token", passwordForm(alice, alicePassword))
	f = withValues(f, "refresh_token", third.RefreshToken, "client_id", aksClient)
	if status, got := post(t, c, s, tenantID, "token", f); status != 200 {
		t.Errorf("a token after that: %d %+v", status, got)
	}
	s.ExpireRefreshTokens(alice)
	testRefusals(t, s, []refusalCase{{"expired", tenantID, f, 700082, "invalid_grant", 400}})
	_, fourth := post(t, c, s, tenantID, "token", passwordForm(alice, alicePassword))
	s.RegisterUser(entratest.User{Tenant: tenantID, Name: alice, Password: alicePassword, AADSTS: 50057})
	testRefusals(t, s, []refusalCase{{"disabled", tenantID, withValues(f, "refresh_token", fourth.RefreshToken), 50057, "invalid_grant", 400}})
}
