package entratest_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

// Answers for people carry what MSAL keeps of them.
func TestUserTokenResponse(t *testing.T) {
	s := newServerWithUsers(t)
	c := newClient(t, s, false)
	f := passwordForm(alice, alicePassword)
	_, got := post(t, c, s, "organizations", "token", f)
	claims := verifiedClaims(t, s, got.AccessToken)
	wantClaims(t, claims, map[string]any{
		"tid": tenantID, "upn": alice, "unique_name": alice, "scp": "user_impersonation", "appid": aksClient, "appidacr": "0",
		"idtyp": nil, "cnf": nil, "groups": []any{"group-1"}, "amr": []any{"pwd"},
	})
	id, err := s.Verify(got.IDToken, aksClient)
	if err == nil {
		t.Errorf("an ID token is taken for an access token: %v", id)
	}
	var idClaims map[string]any
	decodeJSON(t, string(decodeBase64(t, strings.Split(got.IDToken, ".")[1])), &idClaims)
	wantClaims(t, idClaims, map[string]any{
		"aud": aksClient, "iss": "https://login.microsoftonline.com/" + tenantID + "/v2.0", "tid": tenantID, "oid": claims["oid"], "preferred_username": alice, "ver": "2.0",
	})
	if idClaims["sub"] == claims["sub"] || idClaims["sub"] == "" {
		t.Errorf("sub %v of the client is that of the resource", idClaims["sub"])
	}
	if info, want := string(decodeBase64(t, got.ClientInfo)), fmt.Sprintf(`{"uid":%q,"utid":%q}`, claims["oid"], tenantID); info != want {
		t.Errorf("client_info %s, want %s", info, want)
	}
	if got.Scope != aksScope+" "+entratest.AKSServerID+"/user_impersonation" || got.RefreshToken == "" || got.Family != "" || got.TokenType != "Bearer" {
		t.Errorf("%+v", got)
	}
	if _, got := post(t, c, s, tenantID, "token", withValues(f, "scope", aksScope, "client_info", "", "client_id", cliClient)); got.IDToken+got.ClientInfo+got.RefreshToken+got.Family != "" {
		t.Errorf("not asked for: %+v", got)
	}
	if _, got := post(t, c, s, tenantID, "token", withValues(f, "client_id", cliClient)); got.Family != "1" {
		t.Errorf("foci %q", got.Family)
	}
	var secrets []string
	for _, secret := range s.SeenSecrets() {
		if secret == got.RefreshToken || secret == got.IDToken || secret == alicePassword {
			secrets = append(secrets, secret)
		}
	}
	if len(secrets) != 3 {
		t.Errorf("secrets seen: %q", secrets)
	}
	s.ResetCounters()
	if len(s.OAuthRequests()) != 0 || len(s.SeenSecrets()) < 3 {
		t.Errorf("after a reset: %v, %d secrets", s.OAuthRequests(), len(s.SeenSecrets()))
	}
}

func TestUserRealm(t *testing.T) {
	s := newServerWithUsers(t)
	c := newClient(t, s, false)
	ask := func(name string) map[string]any {
		var realm map[string]any
		decodeJSON(t, getURL(t, c, s.URL+"/common/UserRealm/"+url.PathEscape(name)+"?api-version=1.0").raw, &realm)
		return realm
	}
	wantClaims(t, ask(alice), map[string]any{"account_type": "Managed", "domain_name": domain, "cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": "urn:federation:MicrosoftOnline"})
	wantClaims(t, ask("nobody@nowhere.example"), map[string]any{"account_type": "Unknown", "domain_name": nil})
	s.SetUserRealm("fabrikam.example", "https://adfs.fabrikam.example/mex")
	wantClaims(t, ask("oscar@fabrikam.example"), map[string]any{"account_type": "Federated", "federation_metadata_url": "https://adfs.fabrikam.example/mex"})
}
