package entratest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// knobs is how the server behaves from now on. Guarded by Server.mu.
type knobs struct {
	life      time.Duration
	refreshIn time.Duration
	delay     time.Duration
	latency   time.Duration
	distance  time.Duration
	held      chan struct{} // nil when token requests are not held
	sni       string
	failures  []Failure
	every     recurring
	weather   weather
}

func defaultKnobs() knobs { return knobs{life: time.Hour} }

// set changes knobs under the lock.
func (s *Server) set(change func(*knobs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.knobs)
}

// SetLife sets the life of the access tokens issued from now on: their exp claim and expires_in, in whole seconds.
// It is an hour at first. It may be zero or negative.
func (s *Server) SetLife(d time.Duration) { s.set(func(k *knobs) { k.life = d }) }

// SetRefreshIn adds refresh_in to the answers from now on; zero, as at first, leaves it out.
func (s *Server) SetRefreshIn(d time.Duration) { s.set(func(k *knobs) { k.refreshIn = d }) }

// SetDelay makes each answer of a token endpoint or IMDS wait that long, or until the client goes away.
func (s *Server) SetDelay(d time.Duration) { s.set(func(k *knobs) { k.delay = d }) }

// SetSNI makes the token proxy require that TLS server name; "" lifts the requirement.
func (s *Server) SetSNI(name string) { s.set(func(k *knobs) { k.sni = name }) }

// Hold makes requests to a token endpoint or IMDS wait, after they were counted, until [Server.Release] or until their client goes away.
func (s *Server) Hold() {
	s.set(func(k *knobs) {
		if k.held == nil {
			k.held = make(chan struct{})
		}
	})
}

// Release lets all held requests go on and ends holding. Without [Server.Hold] before it does nothing.
func (s *Server) Release() {
	s.set(func(k *knobs) {
		if k.held != nil {
			close(k.held)
			k.held = nil
		}
	})
}

func (s *Server) requiredSNI() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sni
}

// counters is what happened so far. Guarded by Server.mu.
type counters struct {
	tokenRequests           int
	proxiedTokenRequests    int
	gitHubRequests          int
	pipelineRequests        int
	imdsRequests            int
	issued                  int
	resourceManagerRequests int
	connections             int
	deviceRequests          int
	pending                 int
	authorizations          int
	sent                    []SentRequest
	requests                []string
	headers                 []http.Header // of requests, in the same order
	connects                []string
	arrived                 chan struct{} // closed, and replaced, when something arrives that is waited for

	// never reset:
	serial     int // makes identifiers that differ and yet are the same in every run
	assertions []string
	tokens     []string
	secrets    []string
}

// get reads a counter under the lock.
func get[T any](s *Server, read func(*counters) T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return read(&s.counters)
}

// TokenRequests counts the POSTs to a token endpoint on their arrival, whatever became of them.
func (s *Server) TokenRequests() int { return get(s, func(c *counters) int { return c.tokenRequests }) }

// ProxiedTokenRequests counts those of [Server.TokenRequests] that came through the token proxy.
func (s *Server) ProxiedTokenRequests() int {
	return get(s, func(c *counters) int { return c.proxiedTokenRequests })
}

// GitHubRequests counts the requests to GitHub's ID-token endpoint, whatever became of them.
func (s *Server) GitHubRequests() int {
	return get(s, func(c *counters) int { return c.gitHubRequests })
}

// PipelineRequests counts the requests to Azure Pipelines' ID-token endpoint, whatever became of them.
func (s *Server) PipelineRequests() int {
	return get(s, func(c *counters) int { return c.pipelineRequests })
}

// IMDSRequests counts the requests to the machine's managed identity endpoints, App Service's included, whatever became of them.
func (s *Server) IMDSRequests() int { return get(s, func(c *counters) int { return c.imdsRequests }) }

// ResourceManagerRequests counts the requests to Azure Resource Manager for a cluster's credentials, whatever became of them.
func (s *Server) ResourceManagerRequests() int {
	return get(s, func(c *counters) int { return c.resourceManagerRequests })
}

// Issued counts the access tokens given out.
func (s *Server) Issued() int { return get(s, func(c *counters) int { return c.issued }) }

// Connections counts the connections accepted for TLS, directly, through the CONNECT proxy or at the token proxy,
// handshakes that failed included.
func (s *Server) Connections() int { return get(s, func(c *counters) int { return c.connections }) }

// Requests lists the requests in order of arrival as "METHOD host path", with "?query" when there was one.
func (s *Server) Requests() []string {
	return get(s, func(c *counters) []string { return slices.Clone(c.requests) })
}

// Headers lists the headers of [Server.Requests], in the same order. The secrets in them are whole.
func (s *Server) Headers() []http.Header {
	return get(s, func(c *counters) []http.Header { return slices.Clone(c.headers) })
}

// ProxyConnects lists the "host:port" of the CONNECT requests in order of arrival, refused ones included.
func (s *Server) ProxyConnects() []string {
	return get(s, func(c *counters) []string { return slices.Clone(c.connects) })
}

// SeenAssertions lists every client_assertion received since the start, accepted or not. [Server.ResetCounters]
// does not clear it, so that a test can look for leaks at its end.
func (s *Server) SeenAssertions() []string {
	return get(s, func(c *counters) []string { return slices.Clone(c.assertions) })
}

// IssuedTokens lists every access token given out since the start. [Server.ResetCounters] does not clear it.
func (s *Server) IssuedTokens() []string {
	return get(s, func(c *counters) []string { return slices.Clone(c.tokens) })
}

// ResetCounters sets all counts to zero and clears the lists of requests and CONNECTs. Knobs and queued failures stay.
func (s *Server) ResetCounters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters = counters{arrived: s.arrived, serial: s.serial, assertions: s.assertions, tokens: s.tokens, secrets: s.secrets}
}

// WaitTokenRequests blocks until n token requests have arrived since the last reset; false when atMost was over first.
func (s *Server) WaitTokenRequests(n int, atMost time.Duration) bool {
	return s.waitUntil(atMost, func() bool { return s.tokenRequests >= n })
}

// WaitIMDSRequests is [Server.WaitTokenRequests] for those of [Server.IMDSRequests].
func (s *Server) WaitIMDSRequests(n int, atMost time.Duration) bool {
	return s.waitUntil(atMost, func() bool { return s.imdsRequests >= n })
}

// waitUntil blocks until there is what is waited for; false when atMost was over first. there is called with mu held.
func (s *Server) waitUntil(atMost time.Duration, there func() bool) bool {
	timeout := time.NewTimer(atMost)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		done, arrived := there(), s.arrived
		s.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-arrived:
		case <-timeout.C:
			return false
		}
	}
}

// wake lets those who wait look again. Called with mu held.
func (s *Server) wake() {
	close(s.arrived)
	s.arrived = make(chan struct{})
}

func (s *Server) countConnection() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections++
}

func (s *Server) countRequest(r *http.Request) {
	line := strings.Join([]string{r.Method, r.Host, r.URL.EscapedPath()}, " ")
	if r.URL.RawQuery != "" {
		line += "?" + r.URL.RawQuery
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, line)
	s.headers = append(s.headers, r.Header.Clone())
}

// arrive counts a token request and says what it has to wait for and, when not nil, the failure it meets.
func (s *Server) arrive(viaTokenProxy bool) (held <-chan struct{}, delay time.Duration, f *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenRequests++
	if viaTokenProxy {
		s.proxiedTokenRequests++
	}
	s.wake()
	if f = next(&s.failures); f == nil {
		f = s.every.next()
	}
	return s.held, s.delay, f
}

func (s *Server) seeAssertions(raw []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assertions = append(s.assertions, raw...)
}

// nextSerial counts up from 1.
func (s *Server) nextSerial() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return s.serial
}
