package entratest

import (
	"slices"
	"strings"
)

// clientCredentialsGrant is the grant of RFC 6749 section 4.4. The application authenticates with a
// client secret, or with an assertion: a federated token, or one signed with a certificate's key.
var clientCredentialsGrant = grant{
	parameters: slices.Concat([]string{
		"client_assertion",
		"client_assertion_type",
		"client_id",
		"client_info",
		"client_secret",
		"grant_type",
		"scope",
	}, popParameters),
	check: checks{checkRequiredParameters, checkClient, checkClientAuth, checkScope}.run,
}

// checkClientAuth authenticates the application. An assertion signed with a certificate's key has
// the client itself as its issuer.
func checkClientAuth(s *Server, t *tokenRequest) int {
	switch {
	case t.form.Has("client_secret"):
		return checkSecret(s, t)
	case strings.EqualFold(t.assertion.issuer, t.form.Get("client_id")):
		return certificateChecks.run(s, t)
	default:
		return federatedChecks.run(s, t)
	}
}

func checkRequiredParameters(s *Server, t *tokenRequest) int {
	secret, assertion := t.form.Get("client_secret") != "", t.form.Get("client_assertion") != ""
	switch {
	case t.form.Get("client_id") == "":
		t.placeholders["parameter"] = "client_id"
		return 900144
	case !secret && !assertion:
		return 7000218
	case secret && t.form.Has("client_assertion"), secret && t.form.Has("client_assertion_type"):
		s.unexpected("token request with a client_secret and a client_assertion")
		return 9002313
	case !secret && t.form.Get("client_assertion_type") != assertionType:
		assertionType := t.form.Get("client_assertion_type")
		s.unexpected("token request with client_assertion_type %q", assertionType)
		return 9002313
	case t.form.Get("scope") == "":
		t.placeholders["parameter"] = "scope"
		return 90014
	}
	return 0
}

// checkClient fills in the app, which must not be a pure public client.
func checkClient(s *Server, t *tokenRequest) int {
	var ok bool
	if t.app, ok = s.findApp(t.tenant, t.form.Get("client_id")); !ok {
		return 700016
	}
	credentials := len(t.app.Secrets) + len(t.app.Certificates) + len(t.app.FederatedCredentials)
	if t.app.Public && credentials == 0 {
		return 700025
	}
	return 0
}

// checkScope fills in the resource. The scope must be the one of a single resource.
func checkScope(s *Server, t *tokenRequest) int {
	scopes := resourceScopes(t.form.Get("scope"))
	if len(scopes) != 1 {
		t.placeholders["scope"] = t.form.Get("scope")
		return 70011
	}
	resource, ok := strings.CutSuffix(scopes[0], "/.default")
	if !ok {
		return 1002012
	}
	if t.resource, ok = s.findResource(t.tenant, resource); !ok {
		return 500011
	}
	return 0
}

// checkSecret verifies the client_secret, RFC 6749 section 2.3.1.
func checkSecret(_ *Server, t *tokenRequest) int {
	if !slices.Contains(t.app.Secrets, t.form.Get("client_secret")) {
		return 7000215
	}
	t.appIDACR = "1"
	return 0
}
