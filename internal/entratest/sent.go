package entratest

import (
	"maps"
	"net/url"
	"slices"
)

// A SentRequest is a request to Entra's token, devicecode or authorize endpoint as it arrived.
type SentRequest struct {
	Endpoint string // the last part of the path
	Host     string
	Tenant   string     // as the path names it
	Form     url.Values // the body; of authorize, the query
}

// Sent lists the requests to the token, devicecode and authorize endpoints, in order of arrival.
func (s *Server) Sent() []SentRequest {
	return get(s, func(c *counters) []SentRequest { return slices.Clone(c.sent) })
}

// Pending counts those of [Server.TokenRequests] that were answered with authorization_pending or slow_down: polls of
// devices whose person has not decided yet.
func (s *Server) Pending() int { return get(s, func(c *counters) int { return c.pending }) }

// DeviceRequests counts the requests for device codes, whatever became of them.
func (s *Server) DeviceRequests() int {
	return get(s, func(c *counters) int { return c.deviceRequests })
}

// Authorizations counts the sign-ins that were begun in a browser, whatever became of them.
func (s *Server) Authorizations() int {
	return get(s, func(c *counters) int { return c.authorizations })
}

// SeenSecrets lists, each once, the client secrets, passwords, code verifiers, refresh tokens, device codes and
// authorization codes received since the start, accepted or not, and those given out: ID tokens, and what a
// pipeline or an App Service is started with, included.
// [Server.ResetCounters] does not clear it, so that a test can look for leaks at its end.
func (s *Server) SeenSecrets() []string {
	return get(s, func(c *counters) []string { return slices.Clone(c.secrets) })
}

// secretParameters are those whose values nobody else may see, assertions apart.
var secretParameters = []string{"client_secret", "password", "passwd", "refresh_token", "device_code", "code", "code_verifier"}

// record keeps a request and the secrets in it.
func (s *Server) record(t *tokenRequest, endpoint string) {
	form := url.Values{}
	for name, values := range maps.All(t.form) {
		form[name] = slices.Clone(values)
	}
	s.mu.Lock()
	s.sent = append(s.sent, SentRequest{Endpoint: endpoint, Host: t.host, Tenant: t.asked, Form: form})
	s.mu.Unlock()
	for _, name := range secretParameters {
		s.seeSecrets(t.form[name]...)
	}
}

func (s *Server) seeSecrets(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, value := range values {
		if value != "" && !slices.Contains(s.secrets, value) {
			s.secrets = append(s.secrets, value)
		}
	}
}
