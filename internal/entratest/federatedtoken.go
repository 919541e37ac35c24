package entratest

import (
	"crypto/rsa"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims describe a federated token of the workload cluster's issuer. A zero field gets a sensible
// value.
type Claims struct {
	Issuer    string // the Server's Issuer
	Subject   string // system:serviceaccount:default:default
	Audience  string // api://AzureADTokenExchange
	IssuedAt  time.Time
	NotBefore time.Time // IssuedAt
	Expires   time.Time // an hour from now
}

// Assertion signs a federated token with the issuer's key. No two are the same.
// A zero IssuedAt is now, or an hour before Expires when that is earlier.
func (s *Server) Assertion(c Claims) string { return s.signAssertion(issuerKey().key, c) }

// ForgedAssertion is [Server.Assertion] signed with a key that is not the issuer's, under the
// issuer's key id.
func (s *Server) ForgedAssertion(c Claims) string { return s.signAssertion(entraKey().key, c) }

func (s *Server) signAssertion(key *rsa.PrivateKey, c Claims) string {
	c = s.withDefaults(c)
	return s.sign(key, map[string]any{"kid": issuerKey().kid}, map[string]any{
		"iss": c.Issuer,
		"sub": c.Subject,
		"aud": []string{c.Audience}, // Kubernetes writes a list
		"iat": c.IssuedAt.Unix(),
		"nbf": c.NotBefore.Unix(),
		"exp": c.Expires.Unix(),
		"jti": guid("jti", s.nextSerial()),
	})
}

func (s *Server) withDefaults(c Claims) Claims {
	now := time.Now()
	if c.Issuer == "" {
		c.Issuer = s.Issuer
	}
	if c.Subject == "" {
		c.Subject = "system:serviceaccount:default:default"
	}
	if c.Audience == "" {
		c.Audience = defaultFederatedAudience
	}
	if c.Expires.IsZero() {
		c.Expires = now.Add(time.Hour)
	}
	if c.IssuedAt.IsZero() {
		c.IssuedAt = now
		if before := c.Expires.Add(-time.Hour); before.Before(now) {
			c.IssuedAt = before
		}
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = c.IssuedAt
	}
	return c
}

// sign makes a compact JWS with the given header members beside alg.
func (s *Server) sign(key *rsa.PrivateKey, header, claims map[string]any) string {
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims(claims))
	t.Header = map[string]any{"alg": "RS256"}
	for k, v := range header {
		t.Header[k] = v
	}
	signed, err := t.SignedString(key)
	if err != nil {
		s.tb.Fatalf("entratest: %v", err)
	}
	return signed
}
