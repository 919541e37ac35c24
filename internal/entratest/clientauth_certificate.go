package entratest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// certificateChecks is a client's proof by an assertion that the key of its certificate signs:
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials
var certificateChecks = checks{checkCertificateForm, checkCertificateKey, checkCertificateClaims}

// certificateMethods are the algorithms that Entra takes: PS256, and RS256 of older clients.
var certificateMethods = map[string]jwt.SigningMethod{
	"PS256": jwt.SigningMethodPS256,
	"RS256": jwt.SigningMethodRS256,
}

func checkCertificateForm(_ *Server, t *tokenRequest) int {
	a := t.assertion
	if certificateMethods[fmt.Sprint(a.header["alg"])] == nil || a.subject == "" ||
		len(a.audience) != 1 ||
		a.expires.IsZero() ||
		a.jti == "" {
		return 50027
	}
	return 0
}

// checkCertificateKey finds the certificate by its thumbprint and verifies the signature with its
// key.
func checkCertificateKey(_ *Server, t *tokenRequest) int {
	h := t.assertion.header
	i := slices.IndexFunc(t.app.Certificates, func(c *x509.Certificate) bool { return matchesCertificate(h, c) })
	if i < 0 {
		t.placeholders["key"] = fmt.Sprintf("%X", thumbprint(h))
		t.placeholders["signature"] = "The certificate with identifier used to sign the client assertion is not registered on application."
		t.placeholders["keys"] = fmt.Sprintf(
			", Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '%s'",
			t.app.ClientID,
		)
		return 700027
	}
	c := t.app.Certificates[i]
	t.placeholders["key"] = fmt.Sprintf("%X", sha1.Sum(c.Raw))
	if now := time.Now(); now.Before(c.NotBefore) || now.After(c.NotAfter) {
		t.placeholders["reason"] = "The key used is expired."
		t.placeholders["keys"] = fmt.Sprintf(
			", Found key 'Start=%s, End=%s'",
			c.NotBefore.UTC().Format("01/02/2006 15:04:05"),
			c.NotAfter.UTC().Format("01/02/2006 15:04:05"),
		)
		return 700027
	}
	return verifySignature(t, certificateMethods[fmt.Sprint(h["alg"])], c.PublicKey)
}

// matchesCertificate reports whether a header names the certificate: by its thumbprint and, where it brings a chain,
// by itself.
func matchesCertificate(header map[string]any, c *x509.Certificate) bool {
	s1, s256 := sha1.Sum(c.Raw), sha256.Sum256(c.Raw)
	named := false
	for name, want := range map[string][]byte{"x5t": s1[:], "x5t#S256": s256[:]} {
		if header[name] == nil {
			continue
		}
		if !bytes.Equal(decodeAnyBase64(header[name]), want) {
			return false
		}
		named = true
	}
	chain, sent := header["x5c"].([]any)
	if sent && (len(chain) == 0 || !bytes.Equal(decodeAnyBase64(chain[0]), c.Raw)) {
		return false
	}
	return named
}

func thumbprint(header map[string]any) []byte {
	if t := decodeAnyBase64(header["x5t"]); t != nil {
		return t
	}
	return decodeAnyBase64(header["x5t#S256"])
}

// decodeAnyBase64 decodes both alphabets: RFC 7515 wants base64url, MSAL for Go writes base64, and
// Entra takes both.
func decodeAnyBase64(value any) []byte {
	text, _ := value.(string)
	b, err := base64.RawURLEncoding.DecodeString(
		strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(text), "="),
	)
	if err != nil || text == "" {
		return nil
	}
	return b
}

// checkCertificateClaims lets a jti come again, since a request that failed may be repeated as it
// is.
func checkCertificateClaims(s *Server, t *tokenRequest) int {
	a := t.assertion
	switch {
	case !strings.EqualFold(a.subject, t.app.ClientID):
		return 700021
	case !slices.Contains(s.assertionAudiences(t), strings.ToLower(a.audience[0])):
		return 700023
	}
	return checkValidNow(s, t)
}

// assertionAudiences are the audiences of an assertion for a request, in lower case: the token
// endpoint under all names of its tenant, and the issuer of version 2.0.
func (s *Server) assertionAudiences(t *tokenRequest) []string {
	var all []string
	for _, name := range []string{t.requestedTenant, t.tenant, t.placeholders["tenant"]} {
		base := strings.ToLower("https://" + t.host + "/" + name)
		all = append(all, base+"/oauth2/v2.0/token", base+"/v2.0")
	}
	return all
}
