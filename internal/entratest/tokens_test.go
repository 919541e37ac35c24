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
	a := app(s)
	a.Groups = []string{"group-1", "group-2"}
	s.Register(a)
	a.Groups[0] = "changed after Register"
	c := newClient(t, s, false)

	sent := s.Assertion(entratest.Claims{Subject: subject})
	got := exchange(t, s, c, assertionForm(sent))
	if got.status != 200 || got.TokenType != "Bearer" || got.ExpiresIn != 3600 || got.ExtExpiresIn != 3600 || got.RefreshIn != nil {
		t.Fatalf("answer %d %s", got.status, got.raw)
	}
	if got.proto != "HTTP/2.0" {
		t.Errorf("%s, want HTTP/2.0", got.proto)
	}
	claims, err := s.Verify(got.AccessToken, entratest.AKSServerID)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"aud": entratest.AKSServerID, "iss": "https://sts.windows.net/" + tenantID + "/", "tid": tenantID,
		"appid": clientID, "appidacr": "2", "idtyp": "app", "ver": "1.0", "sub": claims["oid"],
	} {
		if claims[name] != want {
			t.Errorf("claim %s: %v, want %v", name, claims[name], want)
		}
	}
	if got := fmt.Sprint(claims["groups"]); got != "[group-1 group-2]" {
		t.Errorf("groups %s", got)
	}

	again := exchange(t, s, c, assertionForm(sent))
	if again.AccessToken == got.AccessToken {
		t.Error("two answers have the same token")
	}
	if got, want := s.IssuedTokens(), []string{got.AccessToken, again.AccessToken}; !slices.Equal(got, want) {
		t.Errorf("issued %q, want %q", got, want)
	}
	if got := s.SeenAssertions(); !slices.Equal(got, []string{sent, sent}) {
		t.Errorf("seen %q", got)
	}
	if s.TokenRequests() != 2 || s.Issued() != 2 || s.Connections() != 1 {
		t.Errorf("%d token requests, %d issued, %d connections", s.TokenRequests(), s.Issued(), s.Connections())
	}
	line := "POST " + strings.TrimPrefix(s.URL, "https://") + " /" + tenantID + "/oauth2/v2.0/token"
	if got := s.Requests(); !slices.Equal(got, []string{line, line}) {
		t.Errorf("requests %q", got)
	}
	s.ResetCounters()
	if s.TokenRequests()+s.Issued()+s.Connections()+len(s.Requests()) != 0 {
		t.Error("ResetCounters left something")
	}
	if len(s.SeenAssertions()) != 2 || len(s.IssuedTokens()) != 2 {
		t.Error("ResetCounters cleared what a leak test needs")
	}
}

// The token is checked the way an API server does it: from the issuer's document to its keys, with
// nothing of the Server's own code.
func TestPublishedKeysVerify(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, true)
	got := exchange(t, s, newClient(t, s, false), assertionForm(s.Assertion(entratest.Claims{Subject: subject})))

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
	parsed, err := jwt.Parse(got.AccessToken, func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != key.Kid || token.Header["x5t"] != key.X5t || token.Header["typ"] != "JWT" {
			return nil, fmt.Errorf("header %v", token.Header)
		}
		e := new(big.Int).SetBytes(decodeBase64(t, key.E)).Int64()
		return &rsa.PublicKey{N: new(big.Int).SetBytes(decodeBase64(t, key.N)), E: int(e)}, nil
	}, jwt.WithIssuer(issuer), jwt.WithAudience(entratest.AKSServerID), jwt.WithValidMethods([]string{"RS256"}))
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
	c := newClient(t, s, false)
	good := exchange(t, s, c, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))).AccessToken
	s.SetTokenLifetime(-time.Minute)
	expired := exchange(t, s, c, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))).AccessToken
	for name, test := range map[string]struct{ token, audience string }{
		"audience":  {good, "another"},
		"expired":   {expired, entratest.AKSServerID},
		"signature": {good[:len(good)-8] + "AAAAAAAA", entratest.AKSServerID},
		"issuer":    {s.Assertion(entratest.Claims{Audience: entratest.AKSServerID}), entratest.AKSServerID},
		"no token":  {"", entratest.AKSServerID},
	} {
		if _, err := s.Verify(test.token, test.audience); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTokenLifetimeAndRefreshIn(t *testing.T) {
	s := newServer(t)
	s.SetTokenLifetime(90 * time.Second)
	s.SetRefreshIn(45 * time.Second)
	before := time.Now().Unix()
	got := exchange(t, s, newClient(t, s, false), assertionForm(s.Assertion(entratest.Claims{Subject: subject})))
	if got.ExpiresIn != 90 || got.RefreshIn == nil || *got.RefreshIn != 45 {
		t.Error(got.raw)
	}
	claims, err := s.Verify(got.AccessToken, entratest.AKSServerID)
	if err != nil {
		t.Fatal(err)
	}
	if exp := int64(claims["exp"].(float64)); exp < before+90 || exp > time.Now().Unix()+90 {
		t.Errorf("exp %d, now %d", exp, before)
	}
}

func TestRegisterResource(t *testing.T) {
	s := newServer(t)
	s.RegisterResource(tenantID, "api://our-api")
	f := assertionForm(s.Assertion(entratest.Claims{Subject: subject}))
	f.Set("scope", "api://our-api/.default")
	got := exchange(t, s, newClient(t, s, false), f)
	if _, err := s.Verify(got.AccessToken, "api://our-api"); err != nil {
		t.Error(err)
	}
}
