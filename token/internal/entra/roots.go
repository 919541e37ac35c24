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

// rootFiles are the first of those that crypto/x509 looks for on Linux, in its order: of all that
// can be read it takes the first. It reads every file of some folders too, which mostly hold the
// same certificates once more; that takes three times as long.
var rootFiles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"}

// rootFile is a file whose root certificates crypto/x509 would trust; "" where that is not known
// here.
func rootFile() string {
	if runtime.GOOS != "linux" || strings.Contains(os.Getenv("GODEBUG"), "x509usefallbackroots") {
		return ""
	}
	files := rootFiles
	if named := os.Getenv("SSL_CERT_FILE"); named != "" {
		files = []string{named}
	}
	for _, file := range files {
		fi, err := os.Stat(file)
		switch {
		case err == nil && fi.Mode().IsRegular():
			return file
		case !errors.Is(err, fs.ErrNotExist): // whether that can be read, and the next does not count, is not for us to say
			return ""
		}
	}
	return ""
}

// fileRoots are those of one file; read is closed when they are there.
type fileRoots struct {
	pool   *x509.CertPool
	loaded chan struct{}
}

// loadFileRoots are read once, as all of the system's are. nil: there is no such file.
var loadFileRoots = sync.OnceValue(func() *fileRoots {
	file := rootFile()
	if file == "" {
		return nil
	}
	some := &fileRoots{x509.NewCertPool(), make(chan struct{})}
	go func() {
		defer close(some.loaded)
		if raw, err := os.ReadFile(file); err == nil {
			some.pool.AppendCertsFromPEM(raw)
		}
	}()
	return some
})

// HTTPTransport are a network that trusts the system's root certificates. It asks a server with
// those of one file first, and once more with all of them where its certificate is refused so: what
// is trusted is the same as ever, and so is the error.
type HTTPTransport struct {
	fileOnly, system *http.Transport
	refused          atomic.Bool // by few
}

// newHTTPTransport makes connections of t, which has a TLSClientConfig of its own and trusts all
// roots of the system, that trust some of them first. Roots are read while the network works.
func newHTTPTransport(t *http.Transport, some *fileRoots) *HTTPTransport {
	if some == nil {
		go x509.SystemCertPool()
		return &HTTPTransport{fileOnly: t, system: t}
	}
	c := &HTTPTransport{fileOnly: t.Clone(), system: t}
	c.fileOnly.TLSClientConfig.RootCAs = some.pool
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c.fileOnly.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return waitingConn{conn, some.loaded}, nil
	}
	return c
}

// waitingConn is a connection from which nothing is read before something else has been: so no
// server's certificate is looked at before the roots are there.
type waitingConn struct {
	net.Conn
	ready <-chan struct{}
}

// Read implements io.Reader.
func (a waitingConn) Read(p []byte) (int, error) {
	<-a.ready
	return a.Conn.Read(p)
}

// RoundTrip implements http.RoundTripper. Where a certificate is refused, nothing of the request
// has been sent or read.
func (c *HTTPTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.fileOnly == c.system || c.refused.Load() {
		return c.system.RoundTrip(req)
	}
	resp, err := c.fileOnly.RoundTrip(req)
	if _, refused := errors.AsType[*tls.CertificateVerificationError](err); refused {
		c.refused.Store(true)
		return c.system.RoundTrip(req)
	}
	return resp, err
}

// ProxyFor returns the proxy that a request goes through; nil: none.
func (c *HTTPTransport) ProxyFor(req *http.Request) (*url.URL, error) { return c.system.Proxy(req) }

// CloseIdleConnections closes those that are kept for further requests.
func (c *HTTPTransport) CloseIdleConnections() {
	c.fileOnly.CloseIdleConnections()
	c.system.CloseIdleConnections()
}
