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

// popTokenLifetime is how long a token with a proof of possession is told to be good. Servers count
// from its ts: Azure Arc's guard takes it for 15 minutes (https://github.com/kubeguard/guard,
// auth/providers/azure), however long the access token in it lives.
const popTokenLifetime = 10 * time.Minute

// tokenType is the token_type that is asked for.
func (r Request) tokenType() string {
	if r.PoPEnabled {
		return "pop"
	}
	return "Bearer"
}

// checkPoP refuses what a proof of possession cannot be made of.
func (r Request) checkPoP(m Method) error {
	switch {
	case r.PoPClaims != "" && !r.PoPEnabled:
		return usageErrorf("--pop-claims goes with --pop-enabled")
	case !r.PoPEnabled:
		return nil
	case !m.usesFlag("pop-enabled"):
		return usageErrorf(
			"login %s cannot ask for proof-of-possession tokens (--pop-enabled); these can: %s",
			m.Name,
			strings.Join(MethodsWith("pop-enabled"), ", "),
		)
	}
	_, err := r.popHost()
	return err
}

// popHost is the claim u: the ARM ID of the cluster that a token is for. Other claims are allowed
// in the flag, and mean nothing.
func (r Request) popHost() (string, error) {
	host := ""
	for claim := range strings.SplitSeq(r.PoPClaims, ",") {
		name, value, _ := strings.Cut(claim, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if name == "" || value == "" {
			return "", usageErrorf(
				"--pop-claims is %q: it must be KEY=VALUE,... with u=ARM_ID of the cluster among them",
				r.PoPClaims,
			)
		}
		if name == "u" {
			host = value
		}
	}
	if host == "" {
		return "", usageErrorf(
			"--pop-claims is %q: it lacks u=ARM_ID of the cluster (az connectedk8s show --query id)",
			r.PoPClaims,
		)
	}
	return host, nil
}

// proofKey is a key that an access token is bound to (RFC 7800). It implements MSAL's
// AuthenticationScheme, which puts it into the token request, but for the last step: the access
// token stays as it is, and is signed anew at every run.
type proofKey struct {
	key *rsa.PrivateKey
	der []byte
}

// newProofKey makes an RSA key, since servers verify RS256 only.
func newProofKey() (*proofKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return &proofKey{key, der}, err
}

func (k *proofKey) pkcs8() []byte {
	if k == nil {
		return nil
	}
	return k.der
}

// jwk is a public key (RFC 7517). The order of the fields is that of the thumbprint (RFC 7638,
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

// KeyID is the key's thumbprint.
func (k *proofKey) KeyID() string {
	canonical, _ := json.Marshal(k.jwk()) // a struct of strings
	sum := sha256.Sum256(canonical)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// TokenRequestParams are what Entra ID is asked with besides: a token bound to the key, which is
// one in software.
func (k *proofKey) TokenRequestParams() map[string]string {
	confirmation, _ := json.Marshal(map[string]string{"kid": k.KeyID(), "xms_ksl": "sw"})
	return map[string]string{
		"token_type": "pop",
		"req_cnf":    base64.RawURLEncoding.EncodeToString(confirmation),
	}
}

// FormatAccessToken leaves the token as it is.
func (k *proofKey) FormatAccessToken(accessToken string) (string, error) { return accessToken, nil }

// AccessTokenType is what Entra ID answers with.
func (k *proofKey) AccessTokenType() string { return "pop" }

// signAccessToken makes the token that a server is shown: the access token with the time and a
// nonce, signed with the key that it is bound to.
// https://datatracker.ietf.org/doc/html/draft-ietf-oauth-signed-http-request-03
func (k *proofKey) signAccessToken(accessToken, host string, now time.Time) (string, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce) // it does not fail
	public := k.jwk()
	public.Algorithm, public.ID = "RS256", k.KeyID()
	var parts []string
	for _, part := range []any{
		map[string]string{"typ": "pop", "alg": "RS256", "kid": k.KeyID()},
		map[string]any{"at": accessToken, "ts": now.Unix(), "u": host, "cnf": map[string]any{"jwk": public}, "nonce": hex.EncodeToString(nonce)},
	} {
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

// signPoP is a token as a server wants it, made for this run.
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
	tok.Obtained, tok.Expires, tok.ProofKey = now, earlier(
		tok.Expires,
		now.Add(popTokenLifetime),
	), nil
	return tok, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
