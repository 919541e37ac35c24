package entratest_test

import (
	"net/url"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

func TestRefreshToken(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	password := passwordForm(alice, alicePassword)
	first := postToken(t, c, s, withValues(password, "client_id", cliClient))
	f := url.Values{
		"client_id":     {cliClient},
		"client_info":   {"1"},
		"grant_type":    {"refresh_token"},
		"refresh_token": {first.RefreshToken},
		"scope":         {armScope + oidcScopes},
	}
	second := post(t, c, s, "organizations", "token", f)
	claims, err := s.Verify(second.AccessToken, armAudience+"/")
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, claims, map[string]any{"upn": alice, "tid": tenantID})
	if second.RefreshToken == "" || second.RefreshToken == first.RefreshToken ||
		second.FamilyID != "1" || second.IDToken == "" {
		t.Error(second)
	}
	if got := postToken(t, c, s, f); got.status != 200 {
		t.Errorf("first refresh token again: %v", got)
	}
	testRefusals(t, s, []refusalCase{
		{"unknown", tenantID, withValues(f, "refresh_token", "guess"), 70000, "invalid_grant", 400},
		{"client outside the family", tenantID, withValues(f, "client_id", aksClient), 70000, "invalid_grant", 400},
		{"another tenant", otherTenant, f, 50020, "invalid_grant", 400},
		{"no resource in scope", tenantID, withValues(f, "scope", "openid"), 70011, "invalid_scope", 400},
	})

	s.RevokeRefreshTokens(alice)
	testRefusals(t, s, []refusalCase{{"revoked", tenantID, f, 50173, "invalid_grant", 400}})
	third := postToken(t, c, s, password)
	f = withValues(f, "refresh_token", third.RefreshToken, "client_id", aksClient)
	if got := postToken(t, c, s, f); got.status != 200 {
		t.Errorf("refresh token issued after the revocation: %v", got)
	}
	s.ExpireRefreshTokens(alice)
	testRefusals(t, s, []refusalCase{{"expired", tenantID, f, 700082, "invalid_grant", 400}})
	fourth := postToken(t, c, s, password)
	s.RegisterUser(entratest.User{
		Tenant: tenantID, Name: alice, Password: alicePassword, AADSTS: 50057,
	})
	f = withValues(f, "refresh_token", fourth.RefreshToken)
	testRefusals(t, s, []refusalCase{{"disabled", tenantID, f, 50057, "invalid_grant", 400}})
}
