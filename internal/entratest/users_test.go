package entratest_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

// The response for a user has what MSAL caches of it.
func TestUserTokenResponse(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	f := passwordForm(alice, alicePassword)
	got := post(t, c, s, "organizations", "token", f)
	claims := verifiedClaims(t, s, got.AccessToken)
	wantClaims(t, claims, map[string]any{
		"tid": tenantID, "upn": alice, "unique_name": alice, "scp": "user_impersonation",
		"appid": aksClient, "appidacr": "0", "idtyp": nil, "cnf": nil,
		"groups": []any{"group-1"}, "amr": []any{"pwd"},
	})
	if _, err := s.Verify(got.IDToken, aksClient); err == nil {
		t.Error("Verify accepts an ID token as an access token")
	}
	var idClaims map[string]any
	decodeJSON(t, string(decodeBase64(t, strings.Split(got.IDToken, ".")[1])), &idClaims)
	wantClaims(t, idClaims, map[string]any{
		"aud": aksClient, "iss": publicCloud + "/" + tenantID + "/v2.0", "tid": tenantID,
		"oid": claims["oid"], "preferred_username": alice, "ver": "2.0",
	})
	if idClaims["sub"] == claims["sub"] || idClaims["sub"] == "" {
		t.Errorf("sub %v of the ID token is that of the access token", idClaims["sub"])
	}
	wantInfo := fmt.Sprintf(`{"uid":%q,"utid":%q}`, claims["oid"], tenantID)
	if info := string(decodeBase64(t, got.ClientInfo)); info != wantInfo {
		t.Errorf("client_info %s, want %s", info, wantInfo)
	}
	if got.Scope != aksScope+" "+entratest.AKSServerID+"/user_impersonation" ||
		got.RefreshToken == "" || got.FamilyID != "" || got.TokenType != "Bearer" {
		t.Error(got)
	}
	minimal := postToken(t, c, s,
		withValues(f, "scope", aksScope, "client_info", "", "client_id", cliClient))
	if minimal.IDToken+minimal.ClientInfo+minimal.RefreshToken+minimal.FamilyID != "" {
		t.Errorf("response has values that were not requested: %v", minimal)
	}
	family := postToken(t, c, s, withValues(f, "client_id", cliClient))
	if family.FamilyID != "1" {
		t.Errorf("foci %q", family.FamilyID)
	}
	for _, secret := range []string{got.RefreshToken, got.IDToken, alicePassword} {
		if n := count(s.SeenSecrets(), secret); n != 1 {
			t.Errorf("secret %q is listed %d times", secret, n)
		}
	}
	s.ResetCounters()
	if len(s.OAuthRequests()) != 0 || len(s.SeenSecrets()) < 3 {
		t.Errorf("after ResetCounters: %v, %d secrets", s.OAuthRequests(), len(s.SeenSecrets()))
	}
}

func TestRevokingForUnknownUserIsFatal(t *testing.T) {
	s := newServerWithUsers(fatalTB{t})
	for name, end := range map[string]func(string){
		"revoke": s.RevokeRefreshTokens, "expire": s.ExpireRefreshTokens,
	} {
		wantFatal(t, name, "not found", func() { end(unknownUser) })
		end(strings.ToUpper(alice))
	}
}

func count(values []string, value string) (n int) {
	for _, v := range values {
		if v == value {
			n++
		}
	}
	return n
}

func TestUserRealm(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	realm := func(name string) map[string]any {
		t.Helper()
		rawURL := s.URL + "/common/UserRealm/" + url.PathEscape(name) + "?api-version=1.0"
		var realm map[string]any
		decodeJSON(t, getURL(t, c, rawURL).raw, &realm)
		return realm
	}
	wantClaims(t, realm(alice), map[string]any{
		"account_type":        "Managed",
		"domain_name":         domain,
		"cloud_instance_name": "microsoftonline.com",
		"cloud_audience_urn":  "urn:federation:MicrosoftOnline",
	})
	wantClaims(t, realm("nobody@nowhere.example"), map[string]any{
		"account_type": "Unknown", "domain_name": nil,
	})
	const metadataURL = "https://adfs.fabrikam.example/mex"
	s.SetUserRealm("fabrikam.example", metadataURL)
	wantClaims(t, realm(otherTenantUser), map[string]any{
		"account_type": "Federated", "federation_metadata_url": metadataURL,
	})
}
