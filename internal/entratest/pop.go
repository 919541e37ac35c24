package entratest

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// checkPoPKey fills in the cnf claim: the key that a PoP token is bound to. A request for a bearer
// token has none.
func checkPoPKey(s *Server, t *tokenRequest) int {
	if !t.form.Has("token_type") && !t.form.Has("req_cnf") {
		return 0
	}
	cnf, err := parseReqCnf(t.form.Get("req_cnf"))
	if tokenType := t.form.Get("token_type"); tokenType != "pop" || err != nil {
		s.unexpected("token request with token_type %q and req_cnf %q: %v",
			tokenType, t.form.Get("req_cnf"), err)
		return 9002313
	}
	t.cnf = cnf
	return 0
}

// parseReqCnf parses a req_cnf parameter: base64url of a JSON object with a kid member, which is a
// SHA-256 thumbprint in base64url.
func parseReqCnf(parameter string) (map[string]any, error) {
	raw, err := base64.RawURLEncoding.DecodeString(parameter)
	if err != nil {
		return nil, err
	}
	var cnf map[string]any
	if err := json.Unmarshal(raw, &cnf); err != nil {
		return nil, err
	}
	kid, _ := cnf["kid"].(string)
	thumbprint, err := base64.RawURLEncoding.DecodeString(kid)
	if err != nil || len(thumbprint) != sha256.Size {
		return nil, fmt.Errorf("kid %q is not a SHA-256 thumbprint", kid)
	}
	return cnf, nil
}

// popLifetime is the maximum age of a PoP token, counted from its ts claim.
const popLifetime = 15 * time.Minute

// VerifyPoP verifies a signed PoP token as the server side of a cluster does. It checks
//   - the signature, with the key in the claim cnf.jwk;
//   - the kid in the header, which must be that key's thumbprint;
//   - the claims u, which must be clusterID (in Azure Resource Manager), ts and nonce;
//   - the access token in it, which must be for audience and bound to the same key.
//
// It returns the claims of the access token.
func (s *Server) VerifyPoP(signed, audience, clusterID string) (map[string]any, error) {
	return s.VerifyPoPWithSkew(0, signed, audience, clusterID)
}

// VerifyPoPWithSkew is [Server.VerifyPoP] for a client whose clock is ahead of the server's by
// skew. The times of the PoP token are checked against the client's clock, and those of the access
// token in it against the server's.
func (s *Server) VerifyPoPWithSkew(
	skew time.Duration, signed, audience, clusterID string,
) (map[string]any, error) {
	now := time.Now().Add(skew)
	var claims struct {
		AccessToken string `json:"at"`
		Time        int64  `json:"ts"`
		U           string `json:"u"`
		Nonce       string `json:"nonce"`
		Key         struct {
			JWK jwk `json:"jwk"`
		} `json:"cnf"`
		jwt.RegisteredClaims
	}
	header := map[string]any{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	_, err := parser.ParseWithClaims(signed, &claims, func(t *jwt.Token) (any, error) {
		header = t.Header
		return claims.Key.JWK.public()
	})
	if err != nil {
		return nil, fmt.Errorf("PoP token: %w", err)
	}
	age := now.Sub(time.Unix(claims.Time, 0))
	thumbprint := claims.Key.JWK.thumbprint()
	switch {
	case !strings.EqualFold(fmt.Sprint(header["typ"]), "pop"):
		return nil, fmt.Errorf("PoP token: typ %v", header["typ"])
	case header["kid"] != thumbprint:
		return nil, fmt.Errorf("PoP token: kid %v, but the thumbprint of its key is %s",
			header["kid"], thumbprint)
	case !strings.EqualFold(claims.U, clusterID):
		return nil, fmt.Errorf("PoP token: u %q, not %q", claims.U, clusterID)
	case age > popLifetime, age < -time.Minute:
		return nil, fmt.Errorf("PoP token: ts %d is %v ago", claims.Time, age)
	case claims.Nonce == "":
		return nil, errors.New("PoP token: no nonce")
	}
	inner, err := s.Verify(claims.AccessToken, audience)
	if err != nil {
		return nil, fmt.Errorf("PoP token: %w", err)
	}
	if cnf, _ := inner["cnf"].(map[string]any); cnf["kid"] != thumbprint {
		return nil, fmt.Errorf("PoP token: its access token is bound to %v, not to %s",
			cnf["kid"], thumbprint)
	}
	return inner, nil
}

// A jwk is a public RSA key in the format of RFC 7517.
type jwk struct {
	Type     string `json:"kty"`
	Modulus  string `json:"n"`
	Exponent string `json:"e"`
}

func (k jwk) public() (*rsa.PublicKey, error) {
	n, err := base64.RawURLEncoding.Strict().DecodeString(k.Modulus)
	if err != nil {
		return nil, err
	}
	e, err := base64.RawURLEncoding.Strict().DecodeString(k.Exponent)
	if err != nil {
		return nil, err
	}
	if k.Type != "RSA" || len(n) < 256 || len(e) == 0 || len(e) > 4 {
		return nil, fmt.Errorf("%s key of %d bytes", k.Type, len(n))
	}
	return &rsa.PublicKey{
		N: new(big.Int).SetBytes(n),
		E: int(new(big.Int).SetBytes(e).Int64()),
	}, nil
}

// thumbprint returns the SHA-256 thumbprint of RFC 7638, in base64url.
func (k jwk) thumbprint() string {
	sum := sha256.Sum256(fmt.Appendf(nil, `{"e":"%s","kty":"RSA","n":"%s"}`, k.Exponent, k.Modulus))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
