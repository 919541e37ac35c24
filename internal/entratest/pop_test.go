package entratest_test

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/golang-jwt/jwt/v5"
)

const arcCluster = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/c"

// popScheme is a client's side of PoP tokens, for MSAL.
type popScheme struct {
	key            *rsa.PrivateKey
	header, claims map[string]any // changes of what is signed
}

func (p popScheme) jwk() map[string]any {
	return map[string]any{
		"kty": "RSA", "alg": "RS256", "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(p.key.E)).Bytes()), "n": base64.RawURLEncoding.EncodeToString(p.key.N.Bytes()),
	}
}

func (p popScheme) KeyID() string {
	sum := sha256.Sum256(fmt.Appendf(nil, `{"e":"%s","kty":"RSA","n":"%s"}`, p.jwk()["e"], p.jwk()["n"]))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p popScheme) TokenRequestParams() map[string]string {
	return map[string]string{"token_type": "pop", "req_cnf": base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"kid":"%s","xms_ksl":"sw"}`, p.KeyID()))}
}

func (p popScheme) FormatAccessToken(accessToken string) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"at": accessToken, "ts": time.Now().Unix(), "u": arcCluster, "cnf": map[string]any{"jwk": p.jwk()}, "nonce": "n"})
	token.Header["typ"], token.Header["kid"] = "pop", p.KeyID()
	maps.Copy(token.Header, p.header)
	maps.Copy(token.Claims.(jwt.MapClaims), p.claims)
	return token.SignedString(p.key)
}

func (popScheme) AccessTokenType() string { return "pop" }

func TestPoP(t *testing.T) {
	s := newServerWithUsers(t)
	_, key := entratest.ClientCertificate("a PoP key")
	_, otherKey := entratest.ClientCertificate("another client")
	cred := confidential.NewCredFromAssertionCallback(func(context.Context, confidential.AssertionRequestOptions) (string, error) {
		return s.Assertion(entratest.Claims{Subject: subject}), nil
	})
	app, err := confidential.New(s.URL+"/"+tenantID, clientID, cred, confidential.WithInstanceDiscovery(false), confidential.WithHTTPClient(newClient(t, s, false)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := app.AcquireTokenByCredential(testContext(t), []string{aksScope}, confidential.WithAuthenticationScheme(popScheme{key: key}))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.VerifyPoP(got.AccessToken, entratest.AKSServerID, arcCluster)
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, claims, map[string]any{"appid": clientID, "cnf": map[string]any{"kid": popScheme{key: key}.KeyID(), "xms_ksl": "sw"}})
	wantOAuthRequests(t, s, "token "+tenantID+" client_assertion client_assertion_type client_id client_info grant_type req_cnf scope token_type")

	bound := s.IssuedTokens()[0]
	bearer := exchange(t, s, newClient(t, s, false), assertionForm(s.Assertion(entratest.Claims{Subject: subject}))).AccessToken
	now := time.Now()
	for name, test := range map[string]struct {
		scheme popScheme
		token  string
	}{
		"another's key": {popScheme{key: otherKey}, bound},
		"bearer token":  {popScheme{key: key}, bearer},
		"no token":      {popScheme{key: key}, ""},
		"stale":         {popScheme{key: key, claims: map[string]any{"ts": now.Add(-16 * time.Minute).Unix()}}, bound},
		"from ahead":    {popScheme{key: key, claims: map[string]any{"ts": now.Add(2 * time.Minute).Unix()}}, bound},
		"no ts":         {popScheme{key: key, claims: map[string]any{"ts": nil}}, bound},
		"cluster":       {popScheme{key: key, claims: map[string]any{"u": arcCluster + "2"}}, bound},
		"nonce":         {popScheme{key: key, claims: map[string]any{"nonce": ""}}, bound},
		"typ":           {popScheme{key: key, header: map[string]any{"typ": "JWT"}}, bound},
		"kid":           {popScheme{key: key, header: map[string]any{"kid": "x"}}, bound},
		"jwk":           {popScheme{key: key, claims: map[string]any{"cnf": map[string]any{"jwk": popScheme{key: otherKey}.jwk()}}}, bound},
		"no jwk":        {popScheme{key: key, claims: map[string]any{"cnf": nil}}, bound},
	} {
		signed, err := test.scheme.FormatAccessToken(test.token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.VerifyPoP(signed, entratest.AKSServerID, arcCluster); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := s.VerifyPoP(got.AccessToken, "another", arcCluster); err == nil {
		t.Error("another audience: accepted")
	}
}

// A person's token is bound as well, from each grant that may ask for it.
func TestPoPForUsers(t *testing.T) {
	s := newServerWithUsers(t)
	c := newClient(t, s, false)
	_, key := entratest.ClientCertificate("a PoP key")
	pop := popScheme{key: key}
	f := passwordForm(alice, alicePassword)
	for name, value := range pop.TokenRequestParams() {
		f.Set(name, value)
	}
	_, got := post(t, c, s, tenantID, "token", f)
	refresh := withValues(f, "grant_type", "refresh_token", "refresh_token", got.RefreshToken, "password", "", "username", "")
	_, again := post(t, c, s, tenantID, "token", refresh)
	for name, answer := range map[string]userResponse{"password": got, "refresh_token": again} {
		signed, err := pop.FormatAccessToken(answer.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := s.VerifyPoP(signed, entratest.AKSServerID, arcCluster)
		if err != nil || claims["upn"] != alice || answer.TokenType != "pop" {
			t.Errorf("%s: %v %v %+v", name, err, claims, answer)
		}
	}
}

func TestPoPIsStrict(t *testing.T) {
	r := &recorder{T: t}
	s := newServerWithUsers(r)
	c := newClient(t, s, false)
	_, key := entratest.ClientCertificate("a PoP key")
	cnf := popScheme{key: key}.TokenRequestParams()["req_cnf"]
	f := passwordForm(alice, alicePassword)
	for _, change := range [][]string{
		{"token_type", "pop"}, {"req_cnf", cnf}, {"token_type", "Bearer", "req_cnf", cnf}, {"token_type", "pop", "req_cnf", "{}"},
		{"token_type", "pop", "req_cnf", base64.RawURLEncoding.EncodeToString([]byte(`{"kid":"short"}`))},
	} {
		status, got := post(t, c, s, tenantID, "token", withValues(f, change...))
		if status != 400 || len(r.takeReports()) != 1 {
			t.Errorf("%q: %d %+v", change, status, got)
		}
	}
}
