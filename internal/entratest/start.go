package entratest

import (
	"net"
	"net/http"
)

// New starts a server that knows no application yet. It is stopped, and waited for, by tb.Cleanup.
func New(tb TB) *Server {
	s := &Server{
		tb:       tb,
		Issuer:   "https://oidc.example/cluster-a/",
		done:     make(chan struct{}),
		settings: defaultSettings(),
	}
	s.counters.arrived = make(chan struct{})
	main, aks := newAuthority(tb, "entratest CA"), newAuthority(tb, "entratest token proxy CA")
	s.conn.mainCA = main
	s.CAPEM, s.TokenProxyCAPEM = main.pem, aks.pem
	dir := tb.TempDir()
	s.CAFile = s.writeFile(dir, "entra-ca.pem", s.CAPEM)
	s.TokenProxyCAFile = s.writeFile(dir, "token-proxy-ca.pem", s.TokenProxyCAPEM)

	direct, plain, proxied, machine := s.listen(), s.listen(), s.listen(), s.listen()
	s.URL = "https://" + direct.Addr().String()
	s.ProxyURL = "http://" + plain.Addr().String()
	s.IMDSURL = "http://" + machine.Addr().String()
	s.tokenProxyURL = "https://" + proxied.Addr().String() + tokenProxyPrefix
	_, port, _ := net.SplitHostPort(
		direct.Addr().String(),
	) // a listener's own address always splits
	s.loopbackHosts = []string{"127.0.0.1:" + port, "localhost:" + port}
	s.proxy.upstream = direct.Addr().String()
	s.proxy.hijacked = map[net.Conn]bool{}
	s.handlers = s.newHandlers()

	servers := []*http.Server{
		s.serveTLS(direct, s.mainCertificate(main), http.HandlerFunc(s.serveMain)),
		s.serveTLS(proxied, s.tokenProxyCertificate(aks), http.HandlerFunc(s.serveTokenProxy)),
		s.servePlain(s.newProxyListener(plain), http.HandlerFunc(s.serveConnect)),
		s.servePlain(machine, http.HandlerFunc(s.serveManagedIdentity)),
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
		srv.Close() // its only errors are those of listeners that are closed already
	}
	s.inFlight.Wait()
}
