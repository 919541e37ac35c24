package entratest

import "slices"

// clientSecret is a client's proof by its client_secret, RFC 6749 section 2.3.1.
var clientSecret = checks{func(_ *Server, t *tokenRequest) int {
	if !slices.Contains(t.app.Secrets, t.form.Get("client_secret")) {
		return 7000215
	}
	t.proof = "1"
	return 0
}}
