package entratest

import (
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// federatedChecks is a client's proof by a federated client_assertion, RFC 7523 section 2.2. Its
// checks are in the order in which Entra reports what is wrong.
var federatedChecks = []func(*Server, *tokenRequest) int{
	checkWellFormed,
	checkFederated,
	checkSignature,
	checkLifetime,
	checkValidNow,
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func checkWellFormed(_ *Server, t *tokenRequest) int {
	if !t.assertion.wellFormed {
		return 50027
	}
	return 0
}

// checkFederated looks for a federated credential with the issuer, the subject and the audience.
// The refusal names the first of them, in that order, that no credential shares; of a subject, also
// that only capital and small letters differ.
func checkFederated(_ *Server, t *tokenRequest) int {
	left := slices.Clone(t.app.FederatedCredentials)
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
	case isPipelinesIssuer(t.assertion.issuer):
		kid = pipelinesKid
	}
	if t.assertion.kid != kid {
		t.placeholders["reason"] = "The key was not found."
		return 700027
	}
	return verifySignature(t, jwt.SigningMethodRS256, key.Public())
}

// maxAssertionLifetime is how long Entra lets a federated token live: a day and an hour.
const maxAssertionLifetime = 25 * time.Hour

func checkLifetime(_ *Server, t *tokenRequest) int {
	if t.assertion.expires.Sub(t.assertion.issuedAt) > maxAssertionLifetime {
		return 70023
	}
	return 0
}
