package entratest

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// newProxyListener is a listener that hangs up while the proxy is down.
func (s *Server) newProxyListener(ln net.Listener) net.Listener { return &proxyListener{ln, s} }

type proxyListener struct {
	net.Listener
	server *Server
}

func (d *proxyListener) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		d.server.mu.Lock()
		down := d.server.proxy.down
		d.server.mu.Unlock()
		if !down {
			return c, nil
		}
		c.Close()
	}
}

func (s *Server) serveConnect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		s.unexpected("proxy: %s %s: it serves CONNECT only", r.Method, r.URL)
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	s.mu.Lock()
	s.connects = append(s.connects, r.Host)
	s.mu.Unlock()
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil || port != "443" || !slices.Contains(proxiedHosts(), host) {
		s.unexpected("proxy: CONNECT %s: unknown", r.Host)
		http.Error(w, "unknown host", http.StatusForbidden)
		return
	}
	if s.serveProxyFault(w, r) {
		return
	}
	way, ok := s.waitConnect(r)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	target := s.proxy.upstream
	s.mu.Unlock()
	up, err := net.Dial("tcp", target)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		up.Close()
		return
	}
	io.WriteString(
		down,
		"HTTP/1.1 200 Connection established\r\n\r\n",
	) // fails only when the client is gone
	s.tunnel(down, buffered.Reader, up, way)
}

// tunnel copies both ways until both sides have ended, or the server is stopped.
func (s *Server) tunnel(down net.Conn, fromDown *bufio.Reader, up net.Conn, way time.Duration) {
	defer s.trackConn(down)()
	defer s.trackConn(up)()
	stop := make(chan struct{})
	defer close(stop)
	var both sync.WaitGroup
	both.Go(func() { copyHalf(up, delayReader(fromDown, way, stop)) })
	both.Go(func() { copyHalf(down, delayReader(up, way, stop)) })
	both.Wait()
}

// copyHalf passes the end of from on, so that a connection that is broken on one side is so on the
// other.
func copyHalf(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	tcp, ok := to.(*net.TCPConn)
	if err != nil || !ok {
		to.Close()
		return
	}
	tcp.CloseWrite()
}

// InterceptTLS makes the CONNECT proxy one that opens TLS: it shows certificates of a certificate
// authority of its own. It returns that one's file.
func (s *Server) InterceptTLS() (caFile string) {
	company := newAuthority(s.tb, "Company Proxy CA")
	ln := s.listen()
	srv := s.serveTLS(ln, s.mainCertificate(company), http.HandlerFunc(s.serveMain))
	s.tb.Cleanup(func() { srv.Close() })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.upstream = ln.Addr().String()
	return s.writeFile(s.tb.TempDir(), "company-ca.pem", company.pem)
}

// serveProxyFault is true when the CONNECT request has been dealt with.
func (s *Server) serveProxyFault(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	password, foul := s.conn.proxyPassword, s.conn.proxyFault
	s.mu.Unlock()
	shown := r.Header.Get("Proxy-Authorization")
	if password != "" && shown != "Basic "+base64.StdEncoding.EncodeToString([]byte(password)) {
		w.Header().Set("Proxy-Authenticate", `Basic realm="company"`)
		w.Header().Set("X-You-Said", shown) // as some do
		http.Error(w, "not with "+shown, http.StatusProxyAuthRequired)
		return true
	}
	if foul != nil {
		s.runConnFault(w, foul, []byte("HTTP/1.1 200 Connection established\r\n\r\n"))
	}
	return foul != nil
}
