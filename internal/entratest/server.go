// Package entratest emulates Microsoft Entra ID on loopback TLS, for end-to-end tests and the demo.
//
// The emulator is strict. Certificates, signatures, proof keys and the checks of requests are real,
// people sign in with an HTML form, and errors carry Entra's own codes and texts. A request that a
// well-behaved client does not send is reported through [TB], which fails a test, and answered with
// an error.
//
// Behavior is set and observed with methods of [Server]; its own listeners never serve settings
// (cmd/entratest has a control listener). The emulator must not be used as an identity provider: it
// trusts every caller of its methods.
//
// Four settings make it slow, in different places:
//   - [Server.SetDelay] delays responses of the token endpoints and of managed identities, after
//     the request is counted. [Server.Hold] holds them back until [Server.Release].
//   - [Server.SetLatency] delays every request to the main listener, before it is counted as a
//     token request. Managed identities and the token proxy have no latency.
//   - [Server.SetRoundTrip] delays the bytes in tunnels of the CONNECT proxy.
//
// server.go holds the Server and all of its state. Each other file with methods of Server holds the
// behavior of one subject. Files of plain data, such as directory.go, failure.go, connfault.go and
// tokenrequest.go, do not know the Server.
package entratest

import (
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// A Server is one Entra ID with all its tenants and everything around it:
//   - the OIDC issuers of one workload cluster, of GitHub Actions and of Azure Pipelines,
//   - the managed identity endpoints of one machine,
//   - Azure Resource Manager,
//   - a CONNECT proxy, and an AKS token proxy.
//
// The main listener serves [Server.URL] and what comes through the CONNECT proxy. The token proxy
// and the managed identity endpoints have listeners of their own.
//
// [New] sets the exported fields, which do not change afterwards. All methods are safe for
// concurrent use, but arguments that are not valid are fatal, and [testing.T] allows that in the
// test's own goroutine only.
type Server struct {
	// URL is https://127.0.0.1:PORT. It serves HTTP/2 and HTTP/1.1, and is an authority host. As
	// Entra does for hosts that are not its own, instance discovery refuses it: clients must
	// disable that, or use ProxyURL.
	URL string

	// ProxyURL is http://127.0.0.1:PORT, a CONNECT proxy. Port 443 of the real hosts of Entra,
	// GitHub Actions, Azure DevOps and Azure Resource Manager leads to the main listener. Other
	// hosts are refused and reported.
	ProxyURL string

	CAFile  string // PEM file: the certificate authority of URL and of the hosts behind ProxyURL
	CAPEM   []byte // the content of CAFile
	Issuer  string // OIDC issuer of the workload cluster, with a trailing slash as on AKS
	IMDSURL string // http://127.0.0.1:PORT, serves what Azure serves at http://169.254.169.254

	TokenProxyCAFile string // PEM file: the certificate authority of the token proxy only
	TokenProxyCAPEM  []byte // the content of TokenProxyCAFile

	tb            TB
	tokenProxyURL string
	loopbackHosts []string                // Host headers of requests that use no proxy
	handlers      map[string]http.Handler // by Host header

	done     chan struct{} // closed when the server stops
	inFlight sync.WaitGroup
	mu       sync.Mutex // guards everything below, and inFlight.Add
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

// startWork registers work that may use s.tb, so that the server waits for it when it stops. The
// caller calls s.inFlight.Done at the end. It returns false, and registers nothing, if the server
// is stopping.
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

// unexpected reports a request that a well-behaved client does not send. The caller also answers
// it with an error.
func (s *Server) unexpected(format string, args ...any) {
	s.tb.Errorf("entratest: "+format, args...)
}

// settings is the configured behavior of the server. Guarded by Server.mu.
type settings struct {
	tokenLifetime time.Duration
	refreshIn     time.Duration
	delay         time.Duration
	latency       time.Duration
	roundTrip     time.Duration
	release       chan struct{} // closing it releases held requests; nil if none are held
	sni           string
	failures      []Failure
	failEvery     failureCycle
	conn          connSettings
}

// connSettings configures connections to the TLS listeners and to the CONNECT proxy. Guarded by
// Server.mu.
type connSettings struct {
	mainCA        *authority
	alpn          string    // the only ALPN protocol; "" means HTTP/2 and HTTP/1.1
	tlsVersion    uint16    // the only TLS version; 0 means 1.2 and newer
	proxyPassword string    // USER:PASSWORD that the CONNECT proxy requires; "" means none
	proxyFault    ConnFault // runs instead of the CONNECT proxy's tunnel; nil means none
}

// deviceSettings configures the device authorization endpoint and polls. Guarded by Server.mu.
type deviceSettings struct {
	interval, lifetime time.Duration // 0 means the default
	slowDowns          int           // polls yet to be answered with slow_down
	failures           []Failure
}

// counters is what happened since the start or the last reset. Guarded by Server.mu.
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
	arrived                 chan struct{} // closed and replaced when a waiter may look again

	// never reset:
	serial         int // makes identifiers unique within a run and equal in every run
	seenAssertions []string
	issuedTokens   []string
	seenSecrets    []string
}

// An OAuthRequest is a request to Entra's token, devicecode or authorize endpoint as it arrived,
// whatever its response.
type OAuthRequest struct {
	Endpoint string // last part of the path: token, devicecode or authorize
	Host     string
	Tenant   string     // as the path names it: a GUID, a domain, or a name like "organizations"
	Form     url.Values // the body; of authorize, the query
}

// directory is the tenants with their applications. Guarded by Server.mu.
type directory struct {
	tenants map[string]*tenant // by id, in lower case
}

type tenant struct {
	id, domain string
	apps       map[string]App    // by client id, in lower case
	resources  map[string]string // by identifier in lower case, as registered
}

// accounts is the users, and their sign-ins and grants. Guarded by Server.mu.
type accounts struct {
	users          map[string]User   // by name in lower case
	realms         map[string]string // federation metadata URLs by domain; "" means managed
	devices        []*device         // oldest first
	deviceSettings deviceSettings
	signIns        map[string]*signIn        // by flow token
	codes          map[string]*authorization // by authorization code
	refreshTokens  map[string]*session
}

// A session is the state behind a refresh token.
type session struct {
	user   string
	client string
	issued time.Time
	aadsts int // code that refuses the refresh token; 0 if it is valid
}

// A device is the state behind a device code. Guarded by Server.mu.
type device struct {
	code, userCode string
	client         string // in lower case
	tenant         string // "" means any
	expires        time.Time
	user           string // who approved it; "" if nobody has yet
	declined       bool
	redeemed       bool
	correlationID  string // the client's identifier of the request for the device code
}

// An authorization is the state behind an authorization code.
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

	// The page templates use these by name:
	Title  string
	Tenant string
	Flow   string // flow token, identifies the sign-in in the form
	Hint   string // initial value of the user name field
	Error  string
	Code   int // of Error
}

// gitHubIssuer is the state of GitHub Actions' ID token endpoint. Guarded by Server.mu.
type gitHubIssuer struct {
	subject, requestToken string // empty if the workflow may not request ID tokens
	failures              []Failure
}

// pipelinesIssuer is the state of Azure Pipelines' ID token endpoint. Guarded by Server.mu.
type pipelinesIssuer struct {
	path, systemToken string                       // empty if no job is running
	connections       map[string]ServiceConnection // by ID in lower case
	failures          []Failure
}

// managedIdentities is the state of the managed identity endpoints of one machine. Guarded by
// Server.mu.
type managedIdentities struct {
	assigned         []ManagedIdentity
	appServiceHeader string // required by App Service's endpoint; empty if there is none
	failures         []Failure

	// exchangeRefusals are the codes of Entra's errors for tokens that are no client assertions, by
	// token.
	exchangeRefusals map[string]int
}

// resourceManager is the state of Azure Resource Manager. Guarded by Server.mu.
type resourceManager struct {
	clusters map[string]Cluster // by ID in lower case
	failures []Failure
}

// connectProxy is the state of the CONNECT proxy. Guarded by Server.mu.
type connectProxy struct {
	upstream string // address that every tunnel leads to
	down     bool
	hijacked map[net.Conn]bool // taken over from net/http; closed when the server stops
}

// set changes settings under the lock.
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

// waitUntil blocks until condition returns true, and then returns true. It returns false if timeout
// passes first. It calls condition with mu held, at once and after each [Server.wakeWaiters].
func (s *Server) waitUntil(timeout time.Duration, condition func() bool) bool {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		s.mu.Lock()
		met, arrived := condition(), s.arrived
		s.mu.Unlock()
		if met {
			return true
		}
		select {
		case <-arrived:
		case <-timer.C:
			return false
		}
	}
}

// wakeWaiters makes [Server.waitUntil] check its condition again. Called with mu held.
func (s *Server) wakeWaiters() {
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// trackConn has the server close a connection when it stops. The returned function closes the
// connection and ends that.
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
