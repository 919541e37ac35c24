package entratest

import "slices"

// passwordGrant is the grant of RFC 6749 section 4.3. Entra has it at "organizations" and not at
// "common".
var passwordGrant = grant{
	parameters: slices.Concat(
		[]string{"client_id", "client_info", "grant_type", "password", "scope", "username"},
		popParameters,
	),
	sharedTenants: true,
	check:         checks{checkPublicClient, checkPassword, checkDelegatedScope, checkNoMFA}.run,
}

func checkPassword(s *Server, t *tokenRequest) int {
	if t.requestedTenant == "common" {
		return 9001023
	}
	for _, name := range []string{"username", "password"} {
		if t.form.Get(name) == "" {
			t.placeholders["parameter"] = name
			return 900144
		}
	}
	return s.setUserByPassword(t, t.form.Get("username"), t.form.Get("password"))
}

// checkNoMFA refuses users who need a second factor, since this grant cannot prompt for one.
func checkNoMFA(_ *Server, t *tokenRequest) int {
	if t.user.MFA {
		return 50076
	}
	return 0
}
