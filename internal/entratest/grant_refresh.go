package entratest

import (
	"slices"
	"strings"
	"time"
)

// refreshToken is the grant of RFC 6749 section 6. A refresh token is good for every resource of the person's tenant,
// each use gives a new one, and the old one stays good, as Entra's do.
var refreshToken = grant{
	parameters: slices.Concat([]string{"client_id", "client_info", "grant_type", "refresh_token", "scope"}, popParameters),
	shared:     true,
	check: func(s *Server, t *tokenRequest) int {
		if code := checkPublicClient(s, t); code != 0 {
			return code
		}
		if code := checkSession(s, t); code != 0 {
			return code
		}
		return checkDelegatedScope(s, t)
	},
}

// checkSession finds whose refresh token it is. Those of a family's client are good for its other members.
func checkSession(s *Server, t *tokenRequest) int {
	s.mu.Lock()
	held := s.refreshTokens[t.form.Get("refresh_token")]
	if held == nil {
		s.mu.Unlock()
		return 70000
	}
	found := *held
	s.mu.Unlock()
	t.facts["issued"] = ticks(found.issued)
	client := strings.ToLower(t.app.ClientID)
	switch {
	case found.client != client && (knownClients[client] == "" || knownClients[client] != knownClients[found.client]):
		return 70000
	case found.refusal != 0:
		return found.refusal
	}
	return s.setUser(t, found.user)
}

func (s *Server) newRefreshToken(t *tokenRequest) string {
	n := s.nextSerial()
	token := "1.A" + opaque("refresh token", n) + opaque("of "+t.user.Name, n)
	s.mu.Lock()
	s.refreshTokens[token] = &session{user: t.user.Name, client: strings.ToLower(t.app.ClientID), issued: time.Now()}
	s.mu.Unlock()
	s.seeSecrets(token)
	return token
}
