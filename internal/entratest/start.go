package entratest

import (
	"net"
	"net/http"
)

// New starts a server in which no application is registered. When tb's test or program ends,
// tb.Cleanup stops the server and waits for its goroutines.
func New(tb TB) *Server {
	s := &Server{
		tb:       tb,
		Issuer:   "https://oidc.example/cluster-a/",
		done:     make(chan struct{}),
		settings: defaultSettings(),
	}
	s.counters.arrived = make(chan struct{})
	mainCA := newAuthority(tb, "entratest CA")
	tokenProxyCA := newAuthority(tb, "entratest token proxy CA")
	s.conn.mainCA = mainCA
	s.CAPEM, s.TokenProxyCAPEM = mainCA.pem, tokenProxyCA.pem
	dir := tb.TempDir()
	s.CAFile = s.writeFile(dir, "entra-ca.pem", s.CAPEM)
	s.TokenProxyCAFile = s.writeFile(dir, "token-proxy-ca.pem", s.TokenProxyCAPEM)

	main, proxy, tokenProxy, imds := s.listen(), s.listen(), s.listen(), s.listen()
	mainAddr := main.Addr().String()
	s.URL = "https://" + mainAddr
	s.ProxyURL = "http://" + proxy.Addr().String()
	s.IMDSURL = "http://" + imds.Addr().String()
	s.tokenProxyURL = "https://" + tokenProxy.Addr().String() + tokenProxyPrefix
	_, port, _ := net.SplitHostPort(mainAddr) // a listener's address always splits
	s.loopbackHosts = []string{"127.0.0.1:" + port, "localhost:" + port}
	s.proxy.upstream = mainAddr
	s.proxy.hijacked = map[net.Conn]bool{}
	s.handlers = s.newHandlers()

	tokenProxyCert := s.tokenProxyCertificate(tokenProxyCA)
	servers := []*http.Server{
		s.serveTLS(main, s.mainCertificate(mainCA), http.HandlerFunc(s.serveMain)),
		s.serveTLS(tokenProxy, tokenProxyCert, http.HandlerFunc(s.serveTokenProxy)),
		s.servePlain(s.newProxyListener(proxy), http.HandlerFunc(s.serveConnect)),
		s.servePlain(imds, http.HandlerFunc(s.serveManagedIdentity)),
	}
	tb.Cleanup(func() { s.close(servers) })
	return s
}

func (s *Server) close(servers []*http.Server) {
	s.mu.Lock()
	s.closing = true
	close(s.done)
	for c := range s.proxy.hijacked {
		c.Close()
	}
	s.mu.Unlock()
	for _, srv := range servers {
		srv.Close() // fails only for listeners that are closed already
	}
	s.inFlight.Wait()
}
