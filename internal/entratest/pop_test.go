package entratest_test

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/golang-jwt/jwt/v5"
)

const arcCluster = "/subscriptions/s/resourceGroups/g" +
	"/providers/Microsoft.Kubernetes/connectedClusters/c"

// popScheme is a client's side of PoP tokens. It implements MSAL's AuthenticationScheme.
type popScheme struct {
	key            *rsa.PrivateKey
	header, claims map[string]any // replace what is signed
}

func encodeBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (p popScheme) jwk() map[string]any {
	return map[string]any{
		"kty": "RSA",
		"alg": "RS256",
		"e":   encodeBase64(big.NewInt(int64(p.key.E)).Bytes()),
		"n":   encodeBase64(p.key.N.Bytes()),
	}
}

// KeyID is the thumbprint of the key (RFC 7638).
func (p popScheme) KeyID() string {
	jwk := p.jwk()
	sum := sha256.Sum256(fmt.Appendf(nil, `{"e":"%s","kty":"RSA","n":"%s"}`, jwk["e"], jwk["n"]))
	return encodeBase64(sum[:])
}

func (p popScheme) TokenRequestParams() map[string]string {
	cnf := fmt.Appendf(nil, `{"kid":"%s","xms_ksl":"sw"}`, p.KeyID())
	return map[string]string{"token_type": "pop", "req_cnf": encodeBase64(cnf)}
}

func (p popScheme) FormatAccessToken(accessToken string) (string, error) {
	claims := jwt.MapClaims{
		"at":    accessToken,
		"ts":    time.Now().Unix(),
		"u":     arcCluster,
		"cnf":   map[string]any{"jwk": p.jwk()},
		"nonce": "n",
	}
	maps.Copy(claims, p.claims)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["typ"], token.Header["kid"] = "pop", p.KeyID()
	maps.Copy(token.Header, p.header)
	return token.SignedString(p.key)
}

func (popScheme) AccessTokenType() string { return "pop" }

// popToken gets an access token with MSAL and returns it as the signed PoP token for a cluster.
func popToken(t *testing.T, s *entratest.Server, scheme popScheme) string {
	t.Helper()
	cred := confidential.NewCredFromAssertionCallback(
		func(context.Context, confidential.AssertionRequestOptions) (string, error) {
			return s.Assertion(entratest.Claims{Subject: subject}), nil
		})
	app, err := confidential.New(s.URL+"/"+tenantID, clientID, cred,
		confidential.WithInstanceDiscovery(false),
		confidential.WithHTTPClient(directClient(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := app.AcquireTokenByCredential(testContext(t), []string{aksScope},
		confidential.WithAuthenticationScheme(scheme))
	if err != nil {
		t.Fatal(err)
	}
	return got.AccessToken
}

func TestPoP(t *testing.T) {
	s := newServerWithUsers(t)
	_, key := entratest.ClientCertificate("a PoP key")
	scheme := popScheme{key: key}
	signed := popToken(t, s, scheme)
	claims, err := s.VerifyPoP(signed, entratest.AKSServerID, arcCluster)
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, claims, map[string]any{
		"appid": clientID, "cnf": map[string]any{"kid": scheme.KeyID(), "xms_ksl": "sw"},
	})
	wantOAuthRequests(t, s, "token "+tenantID+" client_assertion client_assertion_type client_id"+
		" client_info grant_type req_cnf scope token_type")
	if _, err := s.VerifyPoP(signed, "another", arcCluster); err == nil {
		t.Error("no error for another audience")
	}
}

func TestVerifyPoPRefuses(t *testing.T) {
	s := newServerWithUsers(t)
	_, key := entratest.ClientCertificate("a PoP key")
	_, otherKey := entratest.ClientCertificate("another client")
	popToken(t, s, popScheme{key: key})
	bound := s.IssuedTokens()[0]
	bearer := postToken(t, directClient(t, s), s, validForm(s)).AccessToken
	type member = map[string]any
	withClaim := func(name string, value any) popScheme {
		return popScheme{key: key, claims: member{name: value}}
	}
	withHeader := func(name, value string) popScheme {
		return popScheme{key: key, header: member{name: value}}
	}
	otherJWK := member{"jwk": popScheme{key: otherKey}.jwk()}
	now := time.Now()
	for name, test := range map[string]struct {
		scheme popScheme
		token  string
	}{
		"another key":     {popScheme{key: otherKey}, bound},
		"bearer token":    {popScheme{key: key}, bearer},
		"no token":        {popScheme{key: key}, ""},
		"expired":         {withClaim("ts", now.Add(-16*time.Minute).Unix()), bound},
		"from the future": {withClaim("ts", now.Add(2*time.Minute).Unix()), bound},
		"no ts":           {withClaim("ts", nil), bound},
		"another cluster": {withClaim("u", arcCluster+"2"), bound},
		"no nonce":        {withClaim("nonce", ""), bound},
		"typ":             {withHeader("typ", "JWT"), bound},
		"kid":             {withHeader("kid", "x"), bound},
		"another jwk":     {withClaim("cnf", otherJWK), bound},
		"no jwk":          {withClaim("cnf", nil), bound},
	} {
		signed, err := test.scheme.FormatAccessToken(test.token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.VerifyPoP(signed, entratest.AKSServerID, arcCluster); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A client's clock may be ahead of the server's. The proof has the client's time; the access token
// has the server's.
func TestVerifyPoPWithSkew(t *testing.T) {
	s := newServerWithUsers(t)
	_, key := entratest.ClientCertificate("a PoP key")
	const skew = 2 * time.Hour // longer than the lifetime of the access token
	ts := time.Now().Add(skew).Unix()
	verify := func(skew time.Duration) error {
		signed := popToken(t, s, popScheme{key: key, claims: map[string]any{"ts": ts}})
		_, err := s.VerifyPoPWithSkew(skew, signed, entratest.AKSServerID, arcCluster)
		return err
	}
	if err := verify(skew); err != nil {
		t.Errorf("the client's clock: %v", err)
	}
	if err := verify(0); err == nil {
		t.Error("no error for a proof from the future")
	}
	s.SetTokenLifetime(-time.Second)
	if err := verify(skew); !errors.Is(err, jwt.ErrTokenExpired) {
		t.Errorf("expired access token: %v", err)
	}
}

// A user's access token is bound to the key for every grant: password and refresh token.
func TestPoPForUsers(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	_, key := entratest.ClientCertificate("a PoP key")
	scheme := popScheme{key: key}
	f := passwordForm(alice, alicePassword)
	for name, value := range scheme.TokenRequestParams() {
		f.Set(name, value)
	}
	password := postToken(t, c, s, f)
	refresh := postToken(t, c, s, withValues(f, "grant_type", "refresh_token",
		"refresh_token", password.RefreshToken, "password", "", "username", ""))
	for name, got := range map[string]response{"password": password, "refresh": refresh} {
		signed, err := scheme.FormatAccessToken(got.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := s.VerifyPoP(signed, entratest.AKSServerID, arcCluster)
		if err != nil || claims["upn"] != alice || got.TokenType != "pop" {
			t.Errorf("%s: %v, claims %v, %v", name, err, claims, got)
		}
	}
}

func TestPoPReportsUnexpectedRequests(t *testing.T) {
	r := &reportRecorder{T: t}
	s := newServerWithUsers(r)
	c := directClient(t, s)
	_, key := entratest.ClientCertificate("a PoP key")
	cnf := popScheme{key: key}.TokenRequestParams()["req_cnf"]
	shortKeyID := encodeBase64([]byte(`{"kid":"short"}`))
	f := passwordForm(alice, alicePassword)
	for _, change := range [][]string{
		{"token_type", "pop"},
		{"req_cnf", cnf},
		{"token_type", "Bearer", "req_cnf", cnf},
		{"token_type", "pop", "req_cnf", "{}"},
		{"token_type", "pop", "req_cnf", shortKeyID},
	} {
		if got := postToken(t, c, s, withValues(f, change...)); got.status != 400 {
			t.Errorf("%q: %v", change, got)
		}
		r.wantOneReport(t)
	}
}
