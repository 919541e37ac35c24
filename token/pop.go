package token

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"
)

// popTokenLifetime is the lifetime that clients are told for a proof-of-possession token. Servers
// count from its ts claim: Azure Arc's guard accepts it for 15 minutes
// (https://github.com/kubeguard/guard, auth/providers/azure), however long the access token in it
// is valid.
const popTokenLifetime = 10 * time.Minute

// tokenType returns the token_type to request.
func (r Request) tokenType() string {
	if r.PoPEnabled {
		return "pop"
	}
	return "Bearer"
}

// popClaimsName returns the name of the proof's claims for messages, with their source if that is
// not the flag.
func (r Request) popClaimsName() string {
	const flag = "--pop-claims"
	if r.From["pop-claims"] == flag {
		return flag
	}
	return flag + r.sourceNote("pop-claims")
}

// popHost returns the claim u: the ARM ID of the cluster that the token is for. Other claims in the
// flag are allowed and ignored.
func (r Request) popHost() (string, error) {
	host := ""
	for claim := range strings.SplitSeq(r.PoPClaims, ",") {
		name, value, _ := strings.Cut(claim, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if name == "" || value == "" {
			return "", usageErrorf(
				"%s is %q: it must be KEY=VALUE,... with u=ARM_ID of the cluster among them",
				r.popClaimsName(),
				r.PoPClaims,
			)
		}
		if name == "u" {
			host = value
		}
	}
	if host == "" {
		return "", usageErrorf(
			"%s is %q: it lacks u=ARM_ID of the cluster (az connectedk8s show --query id)",
			r.popClaimsName(),
			r.PoPClaims,
		)
	}
	return host, nil
}

// proofKey is a key to which an access token is bound (RFC 7800). It implements MSAL's
// AuthenticationScheme, which adds it to the token request, but does not sign the token there: that
// happens in every run, with signPoP.
type proofKey struct {
	key *rsa.PrivateKey
	der []byte // key as PKCS #8
}

// newProofKey generates an RSA key, since servers verify only RS256.
func newProofKey() (*proofKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return &proofKey{key, der}, err
}

// pkcs8 returns the private key in DER, or nil for a nil key.
func (k *proofKey) pkcs8() []byte {
	if k == nil {
		return nil
	}
	return k.der
}

// jwk is a public key (RFC 7517). The thumbprint requires this order of the fields (RFC 7638,
// section 3).
type jwk struct {
	E         string `json:"e"`
	Type      string `json:"kty"`
	N         string `json:"n"`
	Algorithm string `json:"alg,omitempty"`
	ID        string `json:"kid,omitempty"`
}

func (k *proofKey) jwk() jwk {
	encode := base64.RawURLEncoding.EncodeToString
	return jwk{
		E:    encode(big.NewInt(int64(k.key.E)).Bytes()),
		Type: "RSA",
		N:    encode(k.key.N.Bytes()),
	}
}

// KeyID returns the key's thumbprint.
func (k *proofKey) KeyID() string {
	canonical, _ := json.Marshal(k.jwk()) // a struct of strings cannot fail
	sum := sha256.Sum256(canonical)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// TokenRequestParams returns the parameters that ask Entra ID to bind the token to the key. The key
// is in software (sw).
func (k *proofKey) TokenRequestParams() map[string]string {
	confirmation, _ := json.Marshal(map[string]string{"kid": k.KeyID(), "xms_ksl": "sw"})
	return map[string]string{
		"token_type": "pop",
		"req_cnf":    base64.RawURLEncoding.EncodeToString(confirmation),
	}
}

// FormatAccessToken returns the token unchanged.
func (k *proofKey) FormatAccessToken(accessToken string) (string, error) { return accessToken, nil }

// AccessTokenType returns the token_type of Entra ID's response.
func (k *proofKey) AccessTokenType() string { return "pop" }

// signAccessToken returns the token for a server: the access token with the time and a nonce,
// signed with the key that it is bound to.
// https://datatracker.ietf.org/doc/html/draft-ietf-oauth-signed-http-request-03
func (k *proofKey) signAccessToken(accessToken, host string, now time.Time) (string, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce) // never fails
	public := k.jwk()
	public.Algorithm, public.ID = "RS256", k.KeyID()
	header := map[string]string{"typ": "pop", "alg": "RS256", "kid": k.KeyID()}
	claims := map[string]any{
		"at":    accessToken,
		"ts":    now.Unix(),
		"u":     host,
		"cnf":   map[string]any{"jwk": public},
		"nonce": hex.EncodeToString(nonce),
	}
	var parts []string
	for _, part := range []any{header, claims} {
		raw, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(raw))
	}
	signed := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.key, crypto.SHA256, digest[:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// signPoP returns the proof-of-possession token for this run, made from tok, which is bound to a
// key.
func signPoP(tok Token, r Request, now time.Time) (Token, error) {
	host, err := r.popHost()
	if err != nil {
		return Token{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(tok.ProofKey)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return Token{}, errors.New("the key that the token is bound to cannot be read")
	}
	tok.Value, err = (&proofKey{key: key}).signAccessToken(tok.Value, host, now)
	tok.Obtained, tok.ProofKey = now, nil
	if end := now.Add(popTokenLifetime); end.Before(tok.Expires) {
		tok.Expires = end
	}
	return tok, err
}
