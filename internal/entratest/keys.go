package entratest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A signer is an RSA key with the names under which it is published.
type signer struct {
	key  *rsa.PrivateKey
	kid  string
	cert []byte // DER
}

// entraKey signs access tokens, issuerKey federated ones; each is made once a process, as that takes a while.
var (
	entraKey  = sync.OnceValue(func() signer { return newSigner("accounts.accesscontrol.windows.net") })
	issuerKey = sync.OnceValue(func() signer { return newSigner("oidc.example") })
)

// newSigner panics when it fails, which only happens when the system has no randomness.
func newSigner(name string) signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(5, 0, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	thumbprint := sha1.Sum(cert)
	return signer{key: key, kid: base64.RawURLEncoding.EncodeToString(thumbprint[:]), cert: cert}
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

// JWKS is the published set of Entra's signing keys, the same in every tenant.
func (s *Server) JWKS() []byte {
	k := entraKey()
	exponent := big.NewInt(int64(k.key.E)).Bytes()
	b, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.kid, "x5t": k.kid,
		"n":   base64.RawURLEncoding.EncodeToString(k.key.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(exponent),
		"x5c": []string{base64.StdEncoding.EncodeToString(k.cert)},
	}}})
	if err != nil {
		s.tb.Fatalf("entratest: %v", err)
	}
	return b
}

// guid and opaque make identifiers that look like Entra's, differ with what and n, and are the same in every run.
func guid(what string, n int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d", what, n))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80 // version 4, variant 1
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func opaque(what string, n int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d", what, n))
	return base64.RawURLEncoding.EncodeToString(h[:16])
}
