package entra

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// HTTPTransport connects to servers whose certificates the system's roots verify. Loading all of
// the system's root certificates is slow. HTTPTransport first trusts only the certificates of one
// file among them. If they do not verify a server's certificate, it connects again with all of the
// system's roots. The set of trusted servers and the errors are therefore those of crypto/x509.
type HTTPTransport struct {
	fileOnly, system *http.Transport // the same if there is no such file
	fileFailed       atomic.Bool     // the file's certificates did not verify a server
}

// newHTTPTransport returns an HTTPTransport that connects as t does, and trusts file first. file is
// loaded in the background. t must have a TLSClientConfig of its own with nil RootCAs. A nil file
// means that t is used as it is.
func newHTTPTransport(t *http.Transport, file *fileRoots) *HTTPTransport {
	if file == nil {
		go x509.SystemCertPool() // loads the system's roots, which crypto/x509 keeps
		return &HTTPTransport{fileOnly: t, system: t}
	}
	h := &HTTPTransport{fileOnly: t.Clone(), system: t}
	h.fileOnly.TLSClientConfig.RootCAs = file.pool
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	h.fileOnly.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return rootsConn{conn, file.loaded}, nil
	}
	return h
}

// RoundTrip implements http.RoundTripper. A request whose server certificate was not verified can
// be sent again, because no part of it has been sent.
func (h *HTTPTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if h.fileOnly == h.system || h.fileFailed.Load() {
		return h.system.RoundTrip(req)
	}
	resp, err := h.fileOnly.RoundTrip(req)
	if _, failed := errors.AsType[*tls.CertificateVerificationError](err); failed {
		h.fileFailed.Store(true)
		return h.system.RoundTrip(req)
	}
	return resp, err
}

// ProxyFor returns the URL of the proxy for a request, or nil for a direct connection.
func (h *HTTPTransport) ProxyFor(req *http.Request) (*url.URL, error) { return h.system.Proxy(req) }

// CloseIdleConnections closes the connections that no request uses.
func (h *HTTPTransport) CloseIdleConnections() {
	h.fileOnly.CloseIdleConnections()
	h.system.CloseIdleConnections()
}

// rootsConn is a connection whose reads wait until the root certificates are loaded. The pool is
// therefore complete before crypto/tls verifies a certificate that the server sent.
type rootsConn struct {
	net.Conn
	loaded <-chan struct{}
}

// Read implements io.Reader.
func (c rootsConn) Read(p []byte) (int, error) {
	<-c.loaded
	return c.Conn.Read(p)
}

// fileRoots are the root certificates of one file. pool must not be used before loaded is closed.
type fileRoots struct {
	pool   *x509.CertPool
	loaded chan struct{}
}

// loadFileRoots starts to read the file that rootFile returns, and returns nil if there is none. It
// does so once per process, as crypto/x509 does with the system's roots.
var loadFileRoots = sync.OnceValue(func() *fileRoots {
	file := rootFile()
	if file == "" {
		return nil
	}
	roots := &fileRoots{x509.NewCertPool(), make(chan struct{})}
	go func() {
		defer close(roots.loaded)
		if raw, err := os.ReadFile(file); err == nil {
			roots.pool.AppendCertsFromPEM(raw)
		}
	}()
	return roots
})

// rootFiles are the first files that crypto/x509 tries on Linux, in its order. It uses the first
// that it can read. It also reads every file in some folders. That takes three times as long, and
// the folders mostly hold the same certificates again.
var rootFiles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"}

// rootFile returns a file whose root certificates crypto/x509 trusts, or "" if it cannot tell.
func rootFile() string {
	if runtime.GOOS != "linux" || strings.Contains(os.Getenv("GODEBUG"), "x509usefallbackroots") {
		return ""
	}
	files := rootFiles
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		files = []string{file}
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err == nil && info.Mode().IsRegular() {
			return file
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "" // crypto/x509 may or may not be able to read this file
		}
	}
	return ""
}
