package entratest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Unless its comment says otherwise, a method of this file reports what happened since the start or
// the last [Server.ResetCounters]. Requests are counted when they arrive, whatever their response.

// Requests returns the requests in order of arrival, as "METHOD host path" with "?query" if there
// was one: those to the main listener, to the token proxy (whose paths begin with /token-proxy) and
// to the managed identity endpoints. host is the Host header, and path is escaped. CONNECT requests
// are in [Server.ProxyConnects].
func (s *Server) Requests() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.requests) })
}

// RequestHeaders returns the headers of [Server.Requests], in the same order. They include secrets.
func (s *Server) RequestHeaders() []http.Header {
	return readCounter(s, func(c *counters) []http.Header { return slices.Clone(c.headers) })
}

// Connections counts the TLS connections, direct, through the CONNECT proxy and to the token proxy.
// It includes those with failed handshakes.
func (s *Server) Connections() int {
	return readCounter(s, func(c *counters) int { return c.connections })
}

// ProxyConnects returns the "host:port" of the CONNECT requests in order of arrival, refused ones
// included.
func (s *Server) ProxyConnects() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.connects) })
}

// TokenRequests counts the POST requests to a token endpoint. They are counted when they arrive,
// before [Server.Hold] and [Server.SetDelay], whatever their response.
func (s *Server) TokenRequests() int {
	return readCounter(s, func(c *counters) int { return c.tokenRequests })
}

// TokenProxyRequests counts those of [Server.TokenRequests] that came through the token proxy.
func (s *Server) TokenProxyRequests() int {
	return readCounter(s, func(c *counters) int { return c.tokenProxyRequests })
}

// PendingPolls counts those of [Server.TokenRequests] that were answered with authorization_pending
// or slow_down: polls of devices whose user has not decided yet.
func (s *Server) PendingPolls() int {
	return readCounter(s, func(c *counters) int { return c.pendingPolls })
}

// DeviceCodeRequests counts the requests for device codes.
func (s *Server) DeviceCodeRequests() int {
	return readCounter(s, func(c *counters) int { return c.deviceCodeRequests })
}

// AuthorizeRequests counts the requests to the authorize endpoint: sign-ins started in a browser.
func (s *Server) AuthorizeRequests() int {
	return readCounter(s, func(c *counters) int { return c.authorizeRequests })
}

// OAuthRequests returns the requests to the token, devicecode and authorize endpoints, in order of
// arrival.
func (s *Server) OAuthRequests() []OAuthRequest {
	return readCounter(s, func(c *counters) []OAuthRequest { return slices.Clone(c.oauthRequests) })
}

// GitHubRequests counts the requests to GitHub Actions' ID token endpoint.
func (s *Server) GitHubRequests() int {
	return readCounter(s, func(c *counters) int { return c.gitHubRequests })
}

// PipelineRequests counts the requests to Azure Pipelines' ID token endpoint.
func (s *Server) PipelineRequests() int {
	return readCounter(s, func(c *counters) int { return c.pipelineRequests })
}

// IMDSRequests counts the requests to the managed identity endpoints, App Service's included.
func (s *Server) IMDSRequests() int {
	return readCounter(s, func(c *counters) int { return c.imdsRequests })
}

// ResourceManagerRequests counts the requests to Azure Resource Manager for a cluster's user
// credentials.
func (s *Server) ResourceManagerRequests() int {
	return readCounter(s, func(c *counters) int { return c.resourceManagerRequests })
}

// Issued counts the issued access tokens, those of managed identities included.
func (s *Server) Issued() int { return readCounter(s, func(c *counters) int { return c.issued }) }

// IssuedTokens returns every access token issued since the start, those of managed identities
// included. Of a PoP token it has the access token in it. [Server.ResetCounters] does not clear it.
func (s *Server) IssuedTokens() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.issuedTokens) })
}

// SeenAssertions returns every client_assertion received since the start, accepted or not.
// [Server.ResetCounters] does not clear it, so that a test can look for leaks at its end.
func (s *Server) SeenAssertions() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.seenAssertions) })
}

// SeenSecrets returns, each once, the secrets received or issued since the start:
//   - received, accepted or not: client secrets, passwords, code verifiers, refresh tokens, device
//     codes and authorization codes;
//   - issued: refresh tokens, device codes, authorization codes, ID tokens of Entra, GitHub Actions
//     and Azure Pipelines, the request tokens of workflows, the system tokens of jobs, and App
//     Service's identity header.
//
// [Server.ResetCounters] does not clear it, so that a test can look for leaks at its end.
func (s *Server) SeenSecrets() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.seenSecrets) })
}

// ResetCounters sets all counts to zero and clears the lists of requests, headers and CONNECT
// requests. Settings and queued failures stay.
func (s *Server) ResetCounters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters = counters{
		arrived:        s.arrived,
		serial:         s.serial,
		seenAssertions: s.seenAssertions,
		issuedTokens:   s.issuedTokens,
		seenSecrets:    s.seenSecrets,
	}
}

// WaitTokenRequests blocks until [Server.TokenRequests] is at least n, and then returns true. The
// requests need not have a response yet. It returns false if timeout passes first.
func (s *Server) WaitTokenRequests(n int, timeout time.Duration) bool {
	return s.waitUntil(timeout, func() bool { return s.tokenRequests >= n })
}

// WaitIMDSRequests blocks until [Server.IMDSRequests] is at least n, and then returns true. It
// returns false if timeout passes first.
func (s *Server) WaitIMDSRequests(n int, timeout time.Duration) bool {
	return s.waitUntil(timeout, func() bool { return s.imdsRequests >= n })
}

func (s *Server) countConnection() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections++
}

func (s *Server) logRequest(r *http.Request) {
	line := strings.Join([]string{r.Method, r.Host, r.URL.EscapedPath()}, " ")
	if r.URL.RawQuery != "" {
		line += "?" + r.URL.RawQuery
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, line)
	s.headers = append(s.headers, r.Header.Clone())
}

// secretParameters are the form parameters with secret values, except for assertions.
var secretParameters = []string{
	"client_secret",
	"password",
	"passwd",
	"refresh_token",
	"device_code",
	"code",
	"code_verifier",
}

// logOAuthRequest records a request and the secrets in it.
func (s *Server) logOAuthRequest(t *tokenRequest, endpoint string) {
	form := url.Values{}
	for name, values := range maps.All(t.form) {
		form[name] = slices.Clone(values)
	}
	request := OAuthRequest{Endpoint: endpoint, Host: t.host, Tenant: t.requestedTenant, Form: form}
	s.mu.Lock()
	s.oauthRequests = append(s.oauthRequests, request)
	s.mu.Unlock()
	for _, name := range secretParameters {
		s.recordSecrets(t.form[name]...)
	}
}

func (s *Server) recordAssertions(assertions []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seenAssertions = append(s.seenAssertions, assertions...)
}

func (s *Server) recordSecrets(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, value := range values {
		if value != "" && !slices.Contains(s.seenSecrets, value) {
			s.seenSecrets = append(s.seenSecrets, value)
		}
	}
}
