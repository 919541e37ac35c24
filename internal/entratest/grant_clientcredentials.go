package entratest

import (
	"slices"
	"strings"
)

// clientCredentialsGrant is the grant of RFC 6749 section 4.4: an application proves itself by a
// secret, by its certificate's key or by a federated token.
var clientCredentialsGrant = grant{
	parameters: slices.Concat(
		[]string{
			"client_assertion",
			"client_assertion_type",
			"client_id",
			"client_info",
			"client_secret",
			"grant_type",
			"scope",
		},
		popParameters,
	),
	check: func(s *Server, t *tokenRequest) int {
		for _, check := range slices.Concat([]checks{{checkRequiredParameters, checkClient}, clientAuthChecks(t), {checkScope}}...) {
			if code := check(s, t); code != 0 {
				return code
			}
		}
		return 0
	},
}

// clientAuthChecks are the checks of the proof that a request brings. The assertion that a
// certificate signs is issued by the client itself.
func clientAuthChecks(t *tokenRequest) checks {
	switch {
	case t.form.Has("client_secret"):
		return secretChecks
	case strings.EqualFold(t.assertion.issuer, t.form.Get("client_id")):
		return certificateChecks
	default:
		return federatedChecks
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
		s.unexpected(
			"token request with client_assertion_type %q",
			t.form.Get("client_assertion_type"),
		)
		return 9002313
	case t.form.Get("scope") == "":
		t.placeholders["parameter"] = "scope"
		return 90014
	}
	return 0
}

// checkClient finds the app, which must be one that can prove itself.
func checkClient(s *Server, t *tokenRequest) (code int) {
	var ok bool
	if t.app, ok = s.findApp(t.tenant, t.form.Get("client_id")); !ok {
		return 700016
	}
	if t.app.Public &&
		len(t.app.Secrets)+len(t.app.Certificates)+len(t.app.FederatedCredentials) == 0 {
		return 700025
	}
	return 0
}

func checkScope(s *Server, t *tokenRequest) (code int) {
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

// secretChecks is a client's proof by its client_secret, RFC 6749 section 2.3.1.
var secretChecks = checks{func(_ *Server, t *tokenRequest) int {
	if !slices.Contains(t.app.Secrets, t.form.Get("client_secret")) {
		return 7000215
	}
	t.appIDACR = "1"
	return 0
}}
