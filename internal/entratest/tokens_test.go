package entratest_test

import (
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/golang-jwt/jwt/v5"
)

func TestTokenForFederatedAssertion(t *testing.T) {
	s := entratest.New(t)
	app := testApp(s)
	app.Groups = []string{"group-1", "group-2"}
	s.Register(app)
	app.Groups[0] = "changed after Register"
	got := postToken(t, directClient(t, s), s, validForm(s))
	if got.status != 200 || got.TokenType != "Bearer" ||
		got.ExpiresIn != 3600 || got.ExtExpiresIn != 3600 || got.RefreshIn != nil {
		t.Fatal(got)
	}
	if got.proto != "HTTP/2.0" {
		t.Errorf("%s, want HTTP/2.0", got.proto)
	}
	claims := verifiedClaims(t, s, got.AccessToken)
	wantClaims(t, claims, map[string]any{
		"aud": entratest.AKSServerID, "iss": "https://sts.windows.net/" + tenantID + "/",
		"tid": tenantID, "appid": clientID, "appidacr": "2", "idtyp": "app", "ver": "1.0",
		"sub": claims["oid"], "groups": []any{"group-1", "group-2"},
	})
}

func TestResetCounters(t *testing.T) {
	s := newServer(t)
	c := directClient(t, s)
	assertion := s.Assertion(entratest.Claims{Subject: subject})
	first := postToken(t, c, s, assertionForm(assertion)).AccessToken
	second := postToken(t, c, s, assertionForm(assertion)).AccessToken
	if first == second {
		t.Error("two responses have the same token")
	}
	if got := s.IssuedTokens(); !slices.Equal(got, []string{first, second}) {
		t.Errorf("issued %q, want %q and %q", got, first, second)
	}
	if got := s.SeenAssertions(); !slices.Equal(got, []string{assertion, assertion}) {
		t.Errorf("assertions %q", got)
	}
	if s.TokenRequests() != 2 || s.Issued() != 2 || s.Connections() != 1 {
		t.Errorf("%d token requests, %d issued, %d connections",
			s.TokenRequests(), s.Issued(), s.Connections())
	}
	host := strings.TrimPrefix(s.URL, "https://")
	line := "POST " + host + " /" + tenantID + "/oauth2/v2.0/token"
	if got := s.Requests(); !slices.Equal(got, []string{line, line}) {
		t.Errorf("requests %q", got)
	}
	s.ResetCounters()
	if s.TokenRequests()+s.Issued()+s.Connections()+len(s.Requests()) != 0 {
		t.Error("ResetCounters left a count or a request")
	}
	if len(s.SeenAssertions()) != 2 || len(s.IssuedTokens()) != 2 {
		t.Error("ResetCounters cleared assertions or tokens, which leak tests need")
	}
}

// The token is verified as an API server does it: with the keys that the issuer's document names,
// and without the code of the Server.
func TestPublishedKeysVerify(t *testing.T) {
	s := newServer(t)
	c := proxyClient(t, s)
	got := postToken(t, directClient(t, s), s, validForm(s))

	issuer := "https://sts.windows.net/" + tenantID + "/"
	var doc struct {
		Issuer  string
		JWKSURI string `json:"jwks_uri"`
	}
	decodeJSON(t, getURL(t, c, issuer+".well-known/openid-configuration").raw, &doc)
	if doc.Issuer != issuer {
		t.Fatalf("issuer %q", doc.Issuer)
	}
	var set struct {
		Keys []struct {
			Kid, X5t, N, E string
			X5c            []string
		}
	}
	decodeJSON(t, getURL(t, c, doc.JWKSURI).raw, &set)
	key := set.Keys[0]
	publicKey := func(token *jwt.Token) (any, error) {
		h := token.Header
		if h["kid"] != key.Kid || h["x5t"] != key.X5t || h["typ"] != "JWT" {
			return nil, fmt.Errorf("header %v", h)
		}
		e := new(big.Int).SetBytes(decodeBase64(t, key.E)).Int64()
		return &rsa.PublicKey{N: new(big.Int).SetBytes(decodeBase64(t, key.N)), E: int(e)}, nil
	}
	parsed, err := jwt.Parse(got.AccessToken, publicKey, jwt.WithIssuer(issuer),
		jwt.WithAudience(entratest.AKSServerID), jwt.WithValidMethods([]string{"RS256"}))
	if err != nil || !parsed.Valid {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(key.X5c[0])
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha1.Sum(der); base64.RawURLEncoding.EncodeToString(sum[:]) != key.X5t {
		t.Error("x5t is not the thumbprint of x5c")
	}
}

func TestVerifyRefuses(t *testing.T) {
	s := newServer(t)
	c := directClient(t, s)
	valid := postToken(t, c, s, validForm(s)).AccessToken
	s.SetTokenLifetime(-time.Minute)
	expired := postToken(t, c, s, validForm(s)).AccessToken
	for name, test := range map[string]struct{ token, audience string }{
		"audience":  {valid, "another"},
		"expired":   {expired, entratest.AKSServerID},
		"signature": {valid[:len(valid)-8] + "AAAAAAAA", entratest.AKSServerID},
		"issuer":    {s.Assertion(entratest.Claims{Audience: entratest.AKSServerID}), entratest.AKSServerID},
		"no token":  {"", entratest.AKSServerID},
	} {
		if _, err := s.Verify(test.token, test.audience); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTokenLifetimeAndRefreshIn(t *testing.T) {
	s := newServer(t)
	s.SetTokenLifetime(90 * time.Second)
	s.SetRefreshIn(45 * time.Second)
	before := time.Now().Unix()
	got := postToken(t, directClient(t, s), s, validForm(s))
	if got.ExpiresIn != 90 || got.RefreshIn == nil || *got.RefreshIn != 45 {
		t.Error(got)
	}
	exp := int64(verifiedClaims(t, s, got.AccessToken)["exp"].(float64))
	if exp < before+90 || exp > time.Now().Unix()+90 {
		t.Errorf("exp %d, requested at %d", exp, before)
	}
}

func TestRegisterResource(t *testing.T) {
	s := newServer(t)
	const api = "api://our-api"
	s.RegisterResource(tenantID, api)
	f := withValues(validForm(s), "scope", api+"/.default")
	got := postToken(t, directClient(t, s), s, f)
	if _, err := s.Verify(got.AccessToken, api); err != nil {
		t.Error(err)
	}
}
