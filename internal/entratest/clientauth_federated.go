package entratest

import (
	"cmp"
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
	checkIssuedByEntra,
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
	audience := t.assertion.audience[0]
	if audience == exchangeAppID {
		audience = defaultFederatedAudience
	}
	for _, filter := range []struct {
		code    int
		matches func(FederatedCredential) bool
	}{
		{700211, func(f FederatedCredential) bool { return f.Issuer == t.assertion.issuer }},
		{700213, func(f FederatedCredential) bool { return strings.EqualFold(f.Subject, t.assertion.subject) }},
		{7002138, func(f FederatedCredential) bool { return f.Subject == t.assertion.subject }},
		{700212, func(f FederatedCredential) bool { return f.Audience == audience }},
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

// checkIssuedByEntra requires of a token that Entra itself has issued that it belongs to a managed
// identity of the tenant in which the application is registered, and came from a metadata service.
func checkIssuedByEntra(s *Server, t *tokenRequest) int {
	if t.assertion.audience[0] != exchangeAppID {
		return 0
	}
	if t.assertion.issuer != exchangeIssuer(cmp.Or(t.app.RegisteredIn, t.tenant)) {
		return 700236
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identities.exchangeRefusals[t.assertion.raw]
}

// setExchangeRefusal stores the code of Entra's error for a token that is used as an assertion. A
// metadata service's request has no form.
func (s *Server) setExchangeRefusal(token string, t *tokenRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.identities.exchangeRefusals == nil {
		s.identities.exchangeRefusals = map[string]int{}
	}
	switch client := t.form.Get("client_id"); {
	case t.form == nil:
	case t.form.Has("client_secret"), strings.EqualFold(t.assertion.issuer, client):
		s.identities.exchangeRefusals[token] = 700226
	default:
		s.identities.exchangeRefusals[token] = 700231
	}
}

func checkSignature(s *Server, t *tokenRequest) int {
	key, kid := issuerKey().key, issuerKey().kid
	switch {
	case t.assertion.audience[0] == exchangeAppID:
		key, kid = entraKey().key, entraKey().kid
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
