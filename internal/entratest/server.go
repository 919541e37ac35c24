// Package entratest is a small, strict Microsoft Entra ID on loopback TLS, for end-to-end tests and the demo.
//
// Certificates, signatures, proof keys and the checks of whatever a client presents are real, people sign in with a
// form, and refusals carry Entra's own codes and texts. Whatever a well-behaved client would not send is reported through [TB] and answered with an error.
// Behaviour is set and observed with methods, never over HTTP. It must not be used as an identity provider: it
// trusts whoever can call its methods.
package entratest

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// TB is the part of testing.TB that the server needs; a program that is not a test brings its own.
type TB interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// A Server is one Entra ID with all its tenants, the OIDC issuer of one workload cluster, GitHub's and Azure
// Pipelines' issuers, the managed identity endpoints of one machine, Azure Resource Manager, a CONNECT proxy and an AKS token proxy. Its exported fields are set by [New] and not changed
// afterwards; its methods may be called at any time, from any goroutine.
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
	loopback      []string // the Host headers of direct requests
	sites         map[string]http.Handler
	grants        map[string]grant

	closed  chan struct{} // ends whatever waits
	work    sync.WaitGroup
	mu      sync.Mutex // guards everything below, and the Add of work
	closing bool
	knobs
	counters
	directory
	people
	github     gitHubIssuer
	arm        resourceManager
	identities managedIdentities
	pipelines  pipelinesIssuer
	proxy      connectProxy
}

// wellKnown are the hosts at which Entra ID answers, apart from the loopback names.
var wellKnown = []string{
	"login.microsoftonline.com",
	"login.microsoftonline.us",
	"login.partner.microsoftonline.cn",
	"login.chinacloudapi.cn",
	"login.windows.net",
	"sts.windows.net", // tokens name it as their issuer, so API servers read its documents
}

// hosts are all names behind the CONNECT proxy.
func hosts() []string {
	return slices.Concat(wellKnown, []string{gitHubHost, pipelinesHost}, slices.Sorted(maps.Keys(resourceManagers)))
}

// New starts a server that knows no application yet. It is stopped, and waited for, by tb.Cleanup.
func New(tb TB) *Server {
	s := &Server{
		tb:     tb,
		Issuer: "https://oidc.example/cluster-a/",
		closed: make(chan struct{}),
		knobs:  defaultKnobs(),
		grants: grants(),
	}
	s.counters.arrived = make(chan struct{})
	main, aks := newAuthority(tb, "entratest CA"), newAuthority(tb, "entratest token proxy CA")
	s.weather.main = main
	s.CAPEM, s.TokenProxyCAPEM = main.pem, aks.pem
	dir := tb.TempDir()
	s.CAFile = s.writeFile(dir, "entra-ca.pem", s.CAPEM)
	s.TokenProxyCAFile = s.writeFile(dir, "token-proxy-ca.pem", s.TokenProxyCAPEM)

	direct, plain, proxied, machine := s.listen(), s.listen(), s.listen(), s.listen()
	s.URL = "https://" + direct.Addr().String()
	s.ProxyURL = "http://" + plain.Addr().String()
	s.IMDSURL = "http://" + machine.Addr().String()
	s.tokenProxyURL = "https://" + proxied.Addr().String() + tokenProxyPrefix
	_, port, _ := net.SplitHostPort(direct.Addr().String()) // a listener's own address always splits
	s.loopback = []string{"127.0.0.1:" + port, "localhost:" + port}
	s.proxy.target = direct.Addr().String()
	s.proxy.conns = map[net.Conn]bool{}
	s.sites = s.newSites()

	servers := []*http.Server{
		s.serveTLS(direct, s.mainCertificate(main), http.HandlerFunc(s.serveMain)),
		s.serveTLS(proxied, s.tokenProxyCertificate(aks), http.HandlerFunc(s.serveTokenProxy)),
		s.servePlain(s.refusable(plain), http.HandlerFunc(s.serveConnect)),
		s.servePlain(machine, http.HandlerFunc(s.serveMachine)),
	}
	tb.Cleanup(func() { s.close(servers) })
	return s
}

// enter says that a piece of work begins which may use tb; false when the server is being stopped.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.work.Add(1)
	}
	return !s.closing
}

func (s *Server) close(servers []*http.Server) {
	s.mu.Lock()
	s.closing = true
	close(s.closed)
	for c := range s.proxy.conns {
		c.Close()
	}
	s.mu.Unlock()
	for _, srv := range servers {
		srv.Close() // its only errors are those of listeners that are closed already
	}
	s.work.Wait()
}

func (s *Server) listen() net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.tb.Fatalf("entratest: %v", err)
	}
	return ln
}

func (s *Server) writeFile(dir, name string, content []byte) string {
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		s.tb.Fatalf("entratest: %v", err)
	}
	return file
}

// connKey is the context key of the connection that a request came on.
type connKey struct{}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.enter() {
				panic(http.ErrAbortHandler)
			}
			defer s.work.Done()
			h.ServeHTTP(w, r)
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		// Handshakes that fail are part of many tests, and tb has no log.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

type certificates = func(*tls.ClientHelloInfo) (*tls.Certificate, error)

func (s *Server) serveTLS(ln net.Listener, certs certificates, h http.Handler) *http.Server {
	srv := s.httpServer(h)
	srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs, GetConfigForClient: s.tlsFor(certs)}
	srv.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.countConnection()
		}
	}
	s.work.Go(func() { srv.ServeTLS(ln, "", "") }) // ends with ErrServerClosed, always
	return srv
}

func (s *Server) servePlain(ln net.Listener, h http.Handler) *http.Server {
	srv := s.httpServer(h)
	s.work.Go(func() { srv.Serve(ln) }) // ends with ErrServerClosed, always
	return srv
}

// newSites gives each Host header its routes. At the loopback names everything is served.
func (s *Server) newSites() map[string]http.Handler {
	entra, github, pipelines, all := http.NewServeMux(), http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
	s.routeEntra(entra)
	s.routeEntra(all)
	s.routeGitHub(github)
	s.routeGitHub(all)
	s.routePipelines(pipelines)
	s.routePipelines(all)
	sites := map[string]http.Handler{gitHubHost: github, pipelinesHost: pipelines}
	muxes := []*http.ServeMux{entra, github, pipelines, all}
	for host := range resourceManagers {
		arm := http.NewServeMux()
		s.routeResourceManager(arm, audiences(host))
		sites[host], muxes = arm, append(muxes, arm)
	}
	s.routeResourceManager(all, audiences(slices.Sorted(maps.Keys(resourceManagers))...))
	for _, host := range wellKnown {
		sites[host] = entra
	}
	for _, host := range s.loopback {
		sites[host] = all
	}
	for _, mux := range muxes {
		mux.HandleFunc("/", s.serveUnknown)
	}
	return sites
}

func (s *Server) routeEntra(mux *http.ServeMux) {
	mux.HandleFunc("GET /common/discovery/instance", s.serveInstance)
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", s.serveConfigurationV2)
	mux.HandleFunc("GET /{tenant}/.well-known/openid-configuration", s.serveConfigurationV1)
	mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", s.serveKeys)
	mux.HandleFunc("GET /{tenant}/discovery/keys", s.serveKeys)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.serveToken)
	s.routePeople(mux)
}

func (s *Server) serveMain(w http.ResponseWriter, r *http.Request) {
	s.countRequest(r)
	if !s.late(r) {
		panic(http.ErrAbortHandler)
	}
	s.route(w, r, strings.TrimSuffix(r.Host, ":443"))
}

// route answers at host. Paths that are not clean are unknown: [http.ServeMux] alone would redirect them.
func (s *Server) route(w http.ResponseWriter, r *http.Request, host string) {
	site, ok := s.sites[host]
	if !ok || path.Clean(r.URL.Path) != r.URL.Path {
		s.serveUnknown(w, r)
		return
	}
	site.ServeHTTP(w, r)
}

func (s *Server) serveUnknown(w http.ResponseWriter, r *http.Request) {
	s.unexpected("%s %s %s: nothing is served there", r.Method, r.Host, r.URL)
	http.Error(w, "nothing is served here", http.StatusNotFound)
}

// unexpected reports what a well-behaved client would not do. The caller answers with an error as well.
func (s *Server) unexpected(format string, args ...any) {
	s.tb.Errorf("entratest: "+format, args...)
}
