package entratest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
)

func (s *Server) listen() net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.tb.Fatalf("entratest: %v", err)
	}
	return ln
}

// writeFile writes a file that only its owner may read and returns its path.
func (s *Server) writeFile(dir, name string, content []byte) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		s.tb.Fatalf("entratest: %v", err)
	}
	return path
}

type getCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error)

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.startWork() {
				panic(http.ErrAbortHandler)
			}
			defer s.inFlight.Done()
			h.ServeHTTP(w, r)
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		// Failed handshakes are part of many tests, and TB has no log.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

func (s *Server) serveTLS(ln net.Listener, certs getCertificate, h http.Handler) *http.Server {
	srv := s.httpServer(h)
	srv.TLSConfig = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetCertificate:     certs,
		GetConfigForClient: s.currentTLSConfig(certs),
	}
	srv.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.countConnection()
		}
	}
	s.inFlight.Go(func() { srv.ServeTLS(ln, "", "") }) // always returns ErrServerClosed
	return srv
}

func (s *Server) servePlain(ln net.Listener, h http.Handler) *http.Server {
	srv := s.httpServer(h)
	s.inFlight.Go(func() { srv.Serve(ln) }) // always returns ErrServerClosed
	return srv
}

// currentTLSConfig returns a tls.Config.GetConfigForClient that follows the current settings.
func (s *Server) currentTLSConfig(
	certs getCertificate,
) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(*tls.ClientHelloInfo) (*tls.Config, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"h2", "http/1.1"},
			GetCertificate: certs,
		}
		if s.conn.alpn != "" {
			c.NextProtos = []string{s.conn.alpn}
		}
		if s.conn.tlsVersion != 0 {
			c.MinVersion, c.MaxVersion = s.conn.tlsVersion, s.conn.tlsVersion
		}
		return c, nil
	}
}

// mainCertificate has certificates for the hosts behind the proxy and for the loopback names. A
// client without SNI gets the one for the address.
func (s *Server) mainCertificate(a *authority) getCertificate {
	known := append(proxiedHosts(), "localhost")
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		switch name := hello.ServerName; {
		case name == "":
			return a.certificate("127.0.0.1")
		case slices.Contains(known, name):
			return a.certificate(name)
		default:
			return nil, s.rejectServerName(name, "unknown host")
		}
	}
}

// tokenProxyCertificate requires the name given to [Server.SetSNI]. Without one it has certificates
// for the loopback names.
func (s *Server) tokenProxyCertificate(a *authority) getCertificate {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		switch want := s.requiredSNI(); {
		case want != "" && hello.ServerName != want:
			return nil, s.rejectServerName(hello.ServerName, "the token proxy requires "+want)
		case want != "":
			return a.certificate(want)
		case hello.ServerName == "":
			return a.certificate("127.0.0.1")
		case hello.ServerName == "localhost":
			return a.certificate("localhost")
		default:
			return nil, s.rejectServerName(hello.ServerName, "the token proxy has no name set")
		}
	}
}

func (s *Server) rejectServerName(name, why string) error {
	if s.startWork() {
		defer s.inFlight.Done()
		s.unexpected("TLS server name %q: %s", name, why)
	}
	return fmt.Errorf("no certificate for %q", name)
}
