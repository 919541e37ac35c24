package entratest

import (
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// federatedChecks verify a client_assertion that is a federated token, RFC 7523 section 2.2. They
// are in the order in which Entra reports errors.
var federatedChecks = checks{
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

// checkFederated requires a federated credential with the assertion's issuer, subject and audience.
// Its code tells which of these, in that order, is the first that no credential matches. A subject
// that differs in case only has a code of its own.
func checkFederated(_ *Server, t *tokenRequest) int {
	candidates := slices.Clone(t.app.FederatedCredentials)
	for _, filter := range []struct {
		code    int
		matches func(FederatedCredential) bool
	}{
		{700211, func(f FederatedCredential) bool { return f.Issuer == t.assertion.issuer }},
		{700213, func(f FederatedCredential) bool { return strings.EqualFold(f.Subject, t.assertion.subject) }},
		{7002138, func(f FederatedCredential) bool { return f.Subject == t.assertion.subject }},
		{700212, func(f FederatedCredential) bool { return f.Audience == t.assertion.audience[0] }},
	} {
		candidates = slices.DeleteFunc(candidates, func(f FederatedCredential) bool {
			return !filter.matches(f)
		})
		if len(candidates) == 0 {
			return filter.code
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

// maxAssertionLifetime is the longest lifetime of a federated token that Entra accepts.
const maxAssertionLifetime = 25 * time.Hour

func checkLifetime(_ *Server, t *tokenRequest) int {
	if t.assertion.expires.Sub(t.assertion.issuedAt) > maxAssertionLifetime {
		return 70023
	}
	return 0
}
