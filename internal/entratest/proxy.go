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

// connectResponse is the CONNECT proxy's response to a client that may use the tunnel.
const connectResponse = "HTTP/1.1 200 Connection established\r\n\r\n"

// newProxyListener returns a listener that closes new connections at once while the proxy is down.
func (s *Server) newProxyListener(ln net.Listener) net.Listener { return &proxyListener{ln, s} }

type proxyListener struct {
	net.Listener
	server *Server
}

func (l *proxyListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.server.mu.Lock()
		down := l.server.proxy.down
		l.server.mu.Unlock()
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
	oneWay, ok := s.waitConnect(r)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	address := s.proxy.upstream
	s.mu.Unlock()
	upstream, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		upstream.Close()
		return
	}
	io.WriteString(client, connectResponse) // fails only when the client is gone
	s.tunnel(client, buffered.Reader, upstream, oneWay)
}

// tunnel copies in both directions until both sides have ended or the server stops. fromClient
// reads from client, after what is buffered.
func (s *Server) tunnel(
	client net.Conn, fromClient *bufio.Reader, upstream net.Conn, oneWay time.Duration,
) {
	defer s.trackConn(client)()
	defer s.trackConn(upstream)()
	stop := make(chan struct{})
	defer close(stop)
	var directions sync.WaitGroup
	directions.Go(func() { copyHalf(upstream, delayReader(fromClient, oneWay, stop)) })
	directions.Go(func() { copyHalf(client, delayReader(upstream, oneWay, stop)) })
	directions.Wait()
}

// copyHalf copies one direction of a tunnel. It passes the end of from on: a connection that breaks
// on one side breaks on the other too.
func copyHalf(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	tcp, ok := to.(*net.TCPConn)
	if err != nil || !ok {
		to.Close()
		return
	}
	tcp.CloseWrite()
}

// InterceptTLS makes the CONNECT proxy decrypt TLS, as some companies' proxies do: tunnels opened
// from now on present certificates of another certificate authority. It returns that authority's
// PEM file.
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

// serveProxyFault answers a CONNECT request that lacks the proxy's password, and one that meets a
// fault. It returns true if it has answered.
func (s *Server) serveProxyFault(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	password, fault := s.conn.proxyPassword, s.conn.proxyFault
	s.mu.Unlock()
	presented := r.Header.Get("Proxy-Authorization")
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(password))
	if password != "" && presented != want {
		w.Header().Set("Proxy-Authenticate", `Basic realm="company"`)
		w.Header().Set("X-You-Said", presented) // some proxies quote the credentials
		http.Error(w, "not with "+presented, http.StatusProxyAuthRequired)
		return true
	}
	if fault != nil {
		s.runConnFault(w, fault, []byte(connectResponse))
	}
	return fault != nil
}
