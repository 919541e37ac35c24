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

// certificateChecks verify a client assertion signed with the key of the client's certificate:
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials
var certificateChecks = checks{checkCertificateForm, checkCertificateKey, checkCertificateClaims}

// certificateMethods are the algorithms that Entra accepts: PS256, and RS256 from older clients.
var certificateMethods = map[string]jwt.SigningMethod{
	"PS256": jwt.SigningMethodPS256,
	"RS256": jwt.SigningMethodRS256,
}

func checkCertificateForm(_ *Server, t *tokenRequest) int {
	a := t.assertion
	if certificateMethods[fmt.Sprint(a.header["alg"])] == nil || a.subject == "" ||
		len(a.audience) != 1 || a.expires.IsZero() || a.jti == "" {
		return 50027
	}
	return 0
}

// checkCertificateKey finds the certificate by its thumbprint and verifies the signature with its
// key.
func checkCertificateKey(_ *Server, t *tokenRequest) int {
	const timeFormat = "01/02/2006 15:04:05"
	h, p := t.assertion.header, t.placeholders
	matches := func(c *x509.Certificate) bool { return matchesCertificate(h, c) }
	i := slices.IndexFunc(t.app.Certificates, matches)
	if i < 0 {
		p["key"] = fmt.Sprintf("%X", thumbprint(h))
		p["signature"] = "The certificate with identifier used to sign the client assertion is " +
			"not registered on application."
		p["keys"] = fmt.Sprintf(", Please visit the Azure Portal, Graph Explorer or directly use "+
			"MS Graph to see configured keys for app Id '%s'", t.app.ClientID)
		return 700027
	}
	c := t.app.Certificates[i]
	p["key"] = fmt.Sprintf("%X", sha1.Sum(c.Raw))
	if now := time.Now(); now.Before(c.NotBefore) || now.After(c.NotAfter) {
		p["reason"] = "The key used is expired."
		p["keys"] = fmt.Sprintf(", Found key 'Start=%s, End=%s'",
			c.NotBefore.UTC().Format(timeFormat), c.NotAfter.UTC().Format(timeFormat))
		return 700027
	}
	return verifySignature(t, certificateMethods[fmt.Sprint(h["alg"])], c.PublicKey)
}

// matchesCertificate reports whether an assertion's header identifies the certificate: by its
// thumbprint and, if the header has a certificate chain, by the chain's first certificate.
func matchesCertificate(header map[string]any, c *x509.Certificate) bool {
	s1, s256 := sha1.Sum(c.Raw), sha256.Sum256(c.Raw)
	hasThumbprint := false
	for name, want := range map[string][]byte{"x5t": s1[:], "x5t#S256": s256[:]} {
		if header[name] == nil {
			continue
		}
		if !bytes.Equal(decodeAnyBase64(header[name]), want) {
			return false
		}
		hasThumbprint = true
	}
	chain, hasChain := header["x5c"].([]any)
	if hasChain && (len(chain) == 0 || !bytes.Equal(decodeAnyBase64(chain[0]), c.Raw)) {
		return false
	}
	return hasThumbprint
}

// thumbprint returns the certificate's thumbprint in an assertion's header.
func thumbprint(header map[string]any) []byte {
	if t := decodeAnyBase64(header["x5t"]); t != nil {
		return t
	}
	return decodeAnyBase64(header["x5t#S256"])
}

// decodeAnyBase64 decodes base64 and base64url: RFC 7515 requires base64url, MSAL for Go writes
// base64, and Entra accepts both. It returns nil for other values.
func decodeAnyBase64(value any) []byte {
	text, _ := value.(string)
	text = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(text), "=")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || text == "" {
		return nil
	}
	return b
}

// checkCertificateClaims checks subject, audience and validity. It accepts a jti more than once,
// since a client may retry a failed request unchanged.
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

// assertionAudiences returns the valid audiences of a request's assertion, in lower case: the token
// endpoint and the version 2.0 issuer, under each name of the tenant.
func (s *Server) assertionAudiences(t *tokenRequest) []string {
	var all []string
	for _, name := range []string{t.requestedTenant, t.tenant, t.placeholders["tenant"]} {
		base := strings.ToLower("https://" + t.host + "/" + name)
		all = append(all, base+"/oauth2/v2.0/token", base+"/v2.0")
	}
	return all
}
