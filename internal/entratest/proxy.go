package entratest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// connectProxy is the state of the CONNECT proxy.
type connectProxy struct {
	// guarded by Server.mu:
	target string // where every known name leads
	down   bool
	conns  map[net.Conn]bool // taken over from net/http, to be closed at the end
}

// SetProxyDown makes the CONNECT proxy hang up on whoever calls, or take calls again. Tunnels that stand go on.
func (s *Server) SetProxyDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.down = down
}

// refusable is a listener that hangs up while the proxy is down.
func (s *Server) refusable(ln net.Listener) net.Listener { return &downable{ln, s} }

type downable struct {
	net.Listener
	s *Server
}

func (d *downable) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		d.s.mu.Lock()
		down := d.s.proxy.down
		d.s.mu.Unlock()
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
	if err != nil || port != "443" || !slices.Contains(hosts(), host) {
		s.unexpected("proxy: CONNECT %s: unknown", r.Host)
		http.Error(w, "unknown host", http.StatusForbidden)
		return
	}
	if s.foulProxy(w, r) {
		return
	}
	way, ok := s.reach(r)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	target := s.proxy.target
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
	io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n") // fails only when the client is gone
	s.tunnel(down, buffered.Reader, up, way)
}

// tunnel copies both ways until both sides have ended, or the server is stopped.
func (s *Server) tunnel(down net.Conn, fromDown *bufio.Reader, up net.Conn, way time.Duration) {
	defer s.keep(down)()
	defer s.keep(up)()
	stop := make(chan struct{})
	defer close(stop)
	var both sync.WaitGroup
	both.Go(func() { pipe(up, afar(fromDown, way, stop)) })
	both.Go(func() { pipe(down, afar(up, way, stop)) })
	both.Wait()
}

// pipe passes the end of from on, so that a connection that is broken on one side is so on the other.
func pipe(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	tcp, ok := to.(*net.TCPConn)
	if err != nil || !ok {
		to.Close()
		return
	}
	tcp.CloseWrite()
}

// keep remembers a connection until the returned function closes it.
func (s *Server) keep(c net.Conn) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.conns[c] = true
	if s.closing {
		c.Close()
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.proxy.conns, c)
		c.Close()
	}
}
