package entratest

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// federated is a client's proof by a federated client_assertion, RFC 7523 section 2.2. Its checks are in the order in
// which Entra reports what is wrong.
var federated = []func(*Server, *tokenRequest) int{checkWellFormed, checkFederated, checkSignature, checkLife, checkInTime}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// An assertion is a federated token as it was received, read but not yet believed.
type assertion struct {
	raw                string
	ok                 bool // it is a JWT with what Entra wants in a federated one
	header             map[string]any
	id                 string // jti
	issuer, subject    string
	audience           []string
	kid                string
	issuedAt           time.Time
	validFrom, expires time.Time
}

// setAssertion reads an assertion, "" for none, and takes from it what refusals quote.
func (t *tokenRequest) setAssertion(raw string) {
	a := readAssertion(raw)
	t.assertion = a
	t.facts["issuer"] = a.issuer
	t.facts["subject"] = a.subject
	t.facts["audience"] = strings.Join(a.audience, ",")
	t.facts["key"] = a.kid
	t.facts["issuedAt"] = strconv.FormatInt(a.issuedAt.Unix(), 10)
	t.facts["expiresAt"] = strconv.FormatInt(a.expires.Unix(), 10)
	t.facts["validFrom"] = ticks(a.validFrom)
	t.facts["expiry"] = ticks(a.expires)
}

// readAssertion is stricter than package jwt, which takes white space in the last part and does without claims.
func readAssertion(raw string) assertion {
	a := assertion{raw: raw}
	for part := range strings.SplitSeq(raw, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || part == "" || strings.ContainsAny(part, "\r\n") {
			return a
		}
	}
	var claims jwt.RegisteredClaims
	t, _, err := jwt.NewParser().ParseUnverified(raw, &claims)
	if err != nil {
		return a
	}
	a.header, a.id = t.Header, claims.ID
	a.kid, _ = t.Header["kid"].(string)
	a.issuer, a.subject, a.audience = claims.Issuer, claims.Subject, claims.Audience
	if claims.ExpiresAt != nil {
		a.expires = claims.ExpiresAt.Time
	}
	if claims.IssuedAt != nil {
		a.issuedAt = claims.IssuedAt.Time
	}
	a.validFrom = a.issuedAt
	if claims.NotBefore != nil {
		a.validFrom = claims.NotBefore.Time
	}
	a.ok = t.Method == jwt.SigningMethodRS256 && a.issuer != "" && a.subject != "" && len(a.audience) == 1 &&
		claims.ExpiresAt != nil && claims.IssuedAt != nil
	return a
}

func checkWellFormed(_ *Server, t *tokenRequest) int {
	if !t.assertion.ok {
		return 50027
	}
	return 0
}

// checkFederated looks for a federated credential with the issuer, the subject and the audience. The refusal names
// the first of them, in that order, that no credential shares; of a subject, also that only capital and small letters differ.
func checkFederated(_ *Server, t *tokenRequest) int {
	left := slices.Clone(t.app.Federated)
	for _, step := range []struct {
		code int
		fits func(FederatedCredential) bool
	}{
		{700211, func(f FederatedCredential) bool { return f.Issuer == t.assertion.issuer }},
		{700213, func(f FederatedCredential) bool { return strings.EqualFold(f.Subject, t.assertion.subject) }},
		{7002138, func(f FederatedCredential) bool { return f.Subject == t.assertion.subject }},
		{700212, func(f FederatedCredential) bool { return f.Audience == t.assertion.audience[0] }},
	} {
		left = slices.DeleteFunc(left, func(f FederatedCredential) bool { return !step.fits(f) })
		if len(left) == 0 {
			return step.code
		}
	}
	return 0
}

func checkSignature(s *Server, t *tokenRequest) int {
	key, kid := issuerKey().key, issuerKey().kid
	switch {
	case t.assertion.issuer == gitHubIssuerURL:
		kid = gitHubKid
	case isPipelines(t.assertion.issuer):
		kid = pipelinesKid
	}
	if t.assertion.kid != kid {
		t.facts["reason"] = "The key was not found."
		return 700027
	}
	return checkSigned(t, jwt.SigningMethodRS256, key.Public())
}

// checkSigned verifies an assertion with a key.
func checkSigned(t *tokenRequest, method jwt.SigningMethod, key any) int {
	signed, signature, _ := cutLast(t.assertion.raw, ".")
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err == nil {
		err = method.Verify(signed, sig, key)
	}
	if err != nil {
		t.facts["reason"] = "The provided signature value did not match the expected signature value."
		return 700027
	}
	return 0
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// longestLife is how long Entra lets a federated token live: a day and an hour.
const longestLife = 25 * time.Hour

func checkLife(_ *Server, t *tokenRequest) int {
	if t.assertion.expires.Sub(t.assertion.issuedAt) > longestLife {
		return 70023
	}
	return 0
}

// checkInTime gives no leeway: client and server share a clock here.
func checkInTime(_ *Server, t *tokenRequest) int {
	if now, a := time.Now(), t.assertion; now.Before(a.validFrom) || !now.Before(a.expires) {
		return 700024
	}
	return 0
}

// ticks writes a time as Entra's texts do.
func ticks(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }
