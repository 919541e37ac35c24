package entratest

import (
	"slices"
	"strings"
)

// refreshTokenGrant is the grant of RFC 6749 section 6. As in Entra, a refresh token is valid for
// every resource of the user's tenant. Each use returns a new one, and the old one stays valid.
var refreshTokenGrant = grant{
	parameters: slices.Concat(
		[]string{"client_id", "client_info", "grant_type", "refresh_token", "scope"},
		popParameters,
	),
	sharedTenants: true,
	check:         checks{checkPublicClient, checkRefreshToken, checkDelegatedScope}.run,
}

// checkRefreshToken fills in the user of a refresh token. It is valid for its client, and for all
// clients of the same family.
func checkRefreshToken(s *Server, t *tokenRequest) int {
	s.mu.Lock()
	shared := s.refreshTokens[t.form.Get("refresh_token")]
	if shared == nil {
		s.mu.Unlock()
		return 70000
	}
	session := *shared
	s.mu.Unlock()
	t.placeholders["issued"] = formatTicks(session.issued)
	client := strings.ToLower(t.app.ClientID)
	family := knownClients[client]
	switch {
	case session.client != client && (family == "" || family != knownClients[session.client]):
		return 70000
	case session.aadsts != 0:
		return session.aadsts
	}
	return s.setUser(t, session.user)
}
