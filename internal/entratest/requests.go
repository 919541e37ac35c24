package entratest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// OAuthRequests lists the requests to the token, devicecode and authorize endpoints, in order of
// arrival.
func (s *Server) OAuthRequests() []OAuthRequest {
	return readCounter(s, func(c *counters) []OAuthRequest { return slices.Clone(c.oauthRequests) })
}

// PendingPolls counts those of [Server.TokenRequests] that were answered with authorization_pending
// or slow_down: polls of devices whose person has not decided yet.
func (s *Server) PendingPolls() int {
	return readCounter(s, func(c *counters) int { return c.pendingPolls })
}

// DeviceCodeRequests counts the requests for device codes, whatever became of them.
func (s *Server) DeviceCodeRequests() int {
	return readCounter(s, func(c *counters) int { return c.deviceCodeRequests })
}

// AuthorizeRequests counts the sign-ins that were begun in a browser, whatever became of them.
func (s *Server) AuthorizeRequests() int {
	return readCounter(s, func(c *counters) int { return c.authorizeRequests })
}

// SeenSecrets lists, each once, the client secrets, passwords, code verifiers, refresh tokens,
// device codes and authorization codes received since the start, accepted or not, and those given
// out: ID tokens, and what a pipeline or an App Service is started with, included.
// [Server.ResetCounters] does not clear it, so that a test can look for leaks at its end.
func (s *Server) SeenSecrets() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.seenSecrets) })
}

// secretParameters are those whose values nobody else may see, assertions apart.
var secretParameters = []string{
	"client_secret",
	"password",
	"passwd",
	"refresh_token",
	"device_code",
	"code",
	"code_verifier",
}

// logOAuthRequest keeps a request and the secrets in it.
func (s *Server) logOAuthRequest(t *tokenRequest, endpoint string) {
	form := url.Values{}
	for name, values := range maps.All(t.form) {
		form[name] = slices.Clone(values)
	}
	s.mu.Lock()
	s.oauthRequests = append(
		s.oauthRequests,
		OAuthRequest{Endpoint: endpoint, Host: t.host, Tenant: t.requestedTenant, Form: form},
	)
	s.mu.Unlock()
	for _, name := range secretParameters {
		s.recordSecrets(t.form[name]...)
	}
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

// TokenRequests counts the POSTs to a token endpoint on their arrival, whatever became of them.
func (s *Server) TokenRequests() int {
	return readCounter(s, func(c *counters) int { return c.tokenRequests })
}

// TokenProxyRequests counts those of [Server.TokenRequests] that came through the token proxy.
func (s *Server) TokenProxyRequests() int {
	return readCounter(s, func(c *counters) int { return c.tokenProxyRequests })
}

// GitHubRequests counts the requests to StartWorkflow's ID-token endpoint, whatever became of them.
func (s *Server) GitHubRequests() int {
	return readCounter(s, func(c *counters) int { return c.gitHubRequests })
}

// PipelineRequests counts the requests to Azure Pipelines' ID-token endpoint, whatever became of
// them.
func (s *Server) PipelineRequests() int {
	return readCounter(s, func(c *counters) int { return c.pipelineRequests })
}

// IMDSRequests counts the requests to the machine's managed identity endpoints, App Service's
// included, whatever became of them.
func (s *Server) IMDSRequests() int {
	return readCounter(s, func(c *counters) int { return c.imdsRequests })
}

// ResourceManagerRequests counts the requests to Azure Resource Manager for a cluster's
// credentials, whatever became of them.
func (s *Server) ResourceManagerRequests() int {
	return readCounter(s, func(c *counters) int { return c.resourceManagerRequests })
}

// Issued counts the access tokens given out.
func (s *Server) Issued() int { return readCounter(s, func(c *counters) int { return c.issued }) }

// Connections counts the connections accepted for TLS, directly, through the CONNECT proxy or at
// the token proxy, handshakes that failed included.
func (s *Server) Connections() int {
	return readCounter(s, func(c *counters) int { return c.connections })
}

// Requests lists the requests in order of arrival as "METHOD host path", with "?query" when there
// was one.
func (s *Server) Requests() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.requests) })
}

// RequestHeaders lists the headers of [Server.Requests], in the same order. The secrets in them are
// whole.
func (s *Server) RequestHeaders() []http.Header {
	return readCounter(s, func(c *counters) []http.Header { return slices.Clone(c.headers) })
}

// ProxyConnects lists the "host:port" of the CONNECT requests in order of arrival, refused ones
// included.
func (s *Server) ProxyConnects() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.connects) })
}

// SeenAssertions lists every client_assertion received since the start, accepted or not.
// [Server.ResetCounters] does not clear it, so that a test can look for leaks at its end.
func (s *Server) SeenAssertions() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.seenAssertions) })
}

// IssuedTokens lists every access token given out since the start. [Server.ResetCounters] does not
// clear it.
func (s *Server) IssuedTokens() []string {
	return readCounter(s, func(c *counters) []string { return slices.Clone(c.issuedTokens) })
}

// ResetCounters sets all counts to zero and clears the lists of requests and CONNECTs. Knobs and
// queued failures stay.
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

// WaitTokenRequests blocks until n token requests have arrived since the last reset; false when
// atMost was over first.
func (s *Server) WaitTokenRequests(n int, atMost time.Duration) bool {
	return s.waitUntil(atMost, func() bool { return s.tokenRequests >= n })
}

// WaitIMDSRequests is [Server.WaitTokenRequests] for those of [Server.IMDSRequests].
func (s *Server) WaitIMDSRequests(n int, atMost time.Duration) bool {
	return s.waitUntil(atMost, func() bool { return s.imdsRequests >= n })
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

func (s *Server) recordAssertions(raw []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seenAssertions = append(s.seenAssertions, raw...)
}
