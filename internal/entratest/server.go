// Package entratest is a small, strict Microsoft Entra ID on loopback TLS, for end-to-end tests and
// the demo.
//
// Certificates, signatures, proof keys and the checks of whatever a client presents are real,
// people sign in with a form, and refusals carry Entra's own codes and texts. Whatever a
// well-behaved client would not send is reported through [TB] and answered with an error. Behaviour
// is set and observed with methods, never over HTTP. It must not be used as an identity provider:
// it trusts whoever can call its methods.
package entratest

import (
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// A Server is one Entra ID with all its tenants, the OIDC issuer of one workload cluster,
// StartWorkflow's and Azure Pipelines' issuers, the managed identity endpoints of one machine,
// Azure Resource Manager, a CONNECT proxy and an AKS token proxy. Its exported fields are set by
// [New] and not changed afterwards; its methods may be called at any time, from any goroutine.
type Server struct {
	URL      string // https://127.0.0.1:port, usable as an authority host; HTTP/2 and HTTP/1.1
	ProxyURL string // http://127.0.0.1:port, a CONNECT proxy through which the real host names lead here
	CAFile   string // the certificate authority of URL and of the names behind ProxyURL, PEM
	CAPEM    []byte // the content of CAFile
	Issuer   string // the OIDC issuer of the workload cluster, with the trailing slash that AKS has
	IMDSURL  string // http://127.0.0.1:port, where a machine in Azure finds what is at http://169.254.169.254

	TokenProxyCAFile string // the certificate authority of the token proxy alone, PEM
	TokenProxyCAPEM  []byte // the content of TokenProxyCAFile

	tb            TB
	tokenProxyURL string
	loopbackHosts []string // the Host headers of direct requests
	handlers      map[string]http.Handler

	done     chan struct{} // ends whatever waits
	inFlight sync.WaitGroup
	mu       sync.Mutex // guards everything below, and the Add of work
	closing  bool
	settings
	counters
	directory
	accounts
	github     gitHubIssuer
	arm        resourceManager
	identities managedIdentities
	pipelines  pipelinesIssuer
	proxy      connectProxy
}

// startWork says that a piece of work begins which may use tb; false when the server is being
// stopped.
func (s *Server) startWork() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.inFlight.Add(1)
	}
	return !s.closing
}

func (s *Server) serveUnknown(w http.ResponseWriter, r *http.Request) {
	s.unexpected("%s %s %s: nothing is served there", r.Method, r.Host, r.URL)
	http.Error(w, "nothing is served here", http.StatusNotFound)
}

// unexpected reports what a well-behaved client would not do. The caller answers with an error as
// well.
func (s *Server) unexpected(format string, args ...any) {
	s.tb.Errorf("entratest: "+format, args...)
}

// settings is how the server behaves from now on. Guarded by Server.mu.
type settings struct {
	tokenLifetime time.Duration
	refreshIn     time.Duration
	delay         time.Duration
	latency       time.Duration
	roundTrip     time.Duration
	held          chan struct{} // nil when token requests are not held
	sni           string
	failures      []Failure
	failEvery     failureCycle
	conn          connSettings
}

// connSettings is how connections are from now on. Guarded by Server.mu.
type connSettings struct {
	mainCA        *authority
	alpn          string    // the only one of ALPN; "": HTTP/2 and HTTP/1.1
	tlsVersion    uint16    // the only one of TLS; 0: 1.2 and newer
	proxyPassword string    // USER:PASSWORD that the CONNECT proxy wants; "": none
	proxyFault    ConnFault // what the CONNECT proxy does in place of connecting; nil: it connects
}

type deviceSettings struct {
	interval, lifetime time.Duration
	slowDowns          int
	failures           []Failure
}

// counters is what happened so far. Guarded by Server.mu.
type counters struct {
	tokenRequests           int
	tokenProxyRequests      int
	gitHubRequests          int
	pipelineRequests        int
	imdsRequests            int
	issued                  int
	resourceManagerRequests int
	connections             int
	deviceCodeRequests      int
	pendingPolls            int
	authorizeRequests       int
	oauthRequests           []OAuthRequest
	requests                []string
	headers                 []http.Header // of requests, in the same order
	connects                []string
	arrived                 chan struct{} // closed, and replaced, when something arrives that is waited for

	// never reset:
	serial         int // makes identifiers that differ and yet are the same in every run
	seenAssertions []string
	issuedTokens   []string
	seenSecrets    []string
}

// A OAuthRequest is a request to Entra's token, devicecode or authorize endpoint as it arrived.
type OAuthRequest struct {
	Endpoint string // the last part of the path
	Host     string
	Tenant   string     // as the path names it
	Form     url.Values // the body; of authorize, the query
}

// directory is who exists. Guarded by Server.mu.
type directory struct {
	tenants map[string]*tenant // by id, in lower case
}

type tenant struct {
	id, domain string
	apps       map[string]App    // by client id, in lower case
	resources  map[string]string // by identifier in lower case, as registered
}

// accounts is who signs in, and what they hold. Guarded by Server.mu.
type accounts struct {
	users          map[string]User // by name in lower case
	realms         map[string]string
	devices        []*device // in order
	deviceSettings deviceSettings
	signIns        map[string]*signIn        // by flow token
	codes          map[string]*authorization // by authorization code
	refreshTokens  map[string]*session
}

// A session is what a refresh token stands for.
type session struct {
	user   string
	client string
	issued time.Time
	aadsts int // 0 while it works
}

// A device waits for a person. Guarded by Server.mu.
type device struct {
	code, userCode string
	client         string // in lower case
	tenant         string // "": any
	expires        time.Time
	user           string // who approved
	declined       bool
	redeemed       bool
}

// An authorization is what a code stands for.
type authorization struct {
	user, client string
	redirectURI  string
	challenge    string
	expires      time.Time
	redeemed     bool
}

// A signIn is a person's sign-in in a browser, from the authorize endpoint to the redirect.
type signIn struct {
	request *tokenRequest

	// What the pages show of it:
	Title  string
	Tenant string
	Flow   string // names it in the form
	Hint   string
	Error  string
	Code   int // of Error
}

// gitHubIssuer is the state of StartWorkflow's ID-token endpoint. Guarded by Server.mu.
type gitHubIssuer struct {
	subject, requestToken string // empty: the workflow may not ask for ID tokens
	failures              []Failure
}

// pipelinesIssuer is the state of Azure Pipelines' ID-token endpoint. Guarded by Server.mu.
type pipelinesIssuer struct {
	path, systemToken string // empty: there is no running job
	connections       map[string]ServiceConnection
	failures          []Failure
}

// managedIdentities is the state of the managed identity endpoints of one machine. Guarded by
// Server.mu.
type managedIdentities struct {
	assigned         []ManagedIdentity
	appServiceHeader string // what App Service's endpoint wants; empty: there is no App Service
	failures         []Failure
}

// resourceManager is the state of Azure Resource Manager. Guarded by Server.mu.
type resourceManager struct {
	clusters map[string]Cluster // by ID in lower case
	failures []Failure
}

// connectProxy is the state of the CONNECT proxy.
type connectProxy struct {
	// guarded by Server.mu:
	upstream string // where every known name leads
	down     bool
	hijacked map[net.Conn]bool // taken over from net/http, to be closed at the end
}

// set changes knobs under the lock.
func (s *Server) set(change func(*settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.settings)
}

// readCounter reads a counter under the lock.
func readCounter[T any](s *Server, read func(*counters) T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return read(&s.counters)
}

// nextSerial counts up from 1.
func (s *Server) nextSerial() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return s.serial
}

// waitUntil blocks until there is what is waited for; false when atMost was over first. there is
// called with mu held.
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

// wakeWaiters lets those who wait look again. Called with mu held.
func (s *Server) wakeWaiters() {
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// trackConn remembers a connection until the returned function closes it.
func (s *Server) trackConn(c net.Conn) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.hijacked[c] = true
	if s.closing {
		c.Close()
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.proxy.hijacked, c)
		c.Close()
	}
}
