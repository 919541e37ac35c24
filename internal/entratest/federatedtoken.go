package entratest

import (
	"crypto/rsa"
	"maps"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are the claims of a federated token of the workload cluster's issuer. Entra refuses the
// token unless an application has a federated credential for its Subject, also the default one.
type Claims struct {
	Issuer    string    // default: Server.Issuer
	Subject   string    // default: system:serviceaccount:default:default
	Audience  string    // default: api://AzureADTokenExchange
	IssuedAt  time.Time // default: now, or an hour before Expires if that is earlier
	NotBefore time.Time // default: IssuedAt
	Expires   time.Time // default: an hour from now
}

// Assertion returns a new federated token, a JWT signed with the issuer's key.
func (s *Server) Assertion(c Claims) string { return s.signAssertion(issuerKey().key, c) }

// ForgedAssertion returns a federated token with the issuer's key ID, signed with another key.
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

// sign returns a compact JWS with the given header members and alg.
func (s *Server) sign(key *rsa.PrivateKey, header, claims map[string]any) string {
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims(claims))
	t.Header = map[string]any{"alg": "RS256"}
	maps.Copy(t.Header, header)
	signed, err := t.SignedString(key)
	if err != nil {
		s.tb.Fatalf("entratest: %v", err)
	}
	return signed
}
