package entratest

import (
	"slices"
	"strings"
)

// refreshTokenGrant is the grant of RFC 6749 section 6. A refresh token is good for every resource
// of the person's tenant, each use gives a new one, and the old one stays good, as Entra's do.
var refreshTokenGrant = grant{
	parameters: slices.Concat(
		[]string{"client_id", "client_info", "grant_type", "refresh_token", "scope"},
		popParameters,
	),
	sharedTenants: true,
	check: func(s *Server, t *tokenRequest) int {
		if code := checkPublicClient(s, t); code != 0 {
			return code
		}
		if code := checkRefreshToken(s, t); code != 0 {
			return code
		}
		return checkDelegatedScope(s, t)
	},
}

// checkRefreshToken finds whose refresh token it is. Those of a family's client are good for its
// other members.
func checkRefreshToken(s *Server, t *tokenRequest) int {
	s.mu.Lock()
	held := s.refreshTokens[t.form.Get("refresh_token")]
	if held == nil {
		s.mu.Unlock()
		return 70000
	}
	found := *held
	s.mu.Unlock()
	t.placeholders["issued"] = formatTicks(found.issued)
	client := strings.ToLower(t.app.ClientID)
	switch {
	case found.client != client && (knownClients[client] == "" || knownClients[client] != knownClients[found.client]):
		return 70000
	case found.aadsts != 0:
		return found.aadsts
	}
	return s.setUser(t, found.user)
}
