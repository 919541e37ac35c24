package token

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

// rootFiles are the first of those that crypto/x509 looks for on Linux, in its order: of all that can be read it takes the first. It reads every file of
// some folders too, which mostly hold the same certificates once more; that takes three times as long.
var rootFiles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"}

// rootFile is a file whose root certificates crypto/x509 would trust; "" where that is not known here.
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

// someRoots are those of one file; read is closed when they are there.
type someRoots struct {
	pool *x509.CertPool
	read chan struct{}
}

// firstRoots are read once, as all of the system's are. nil: there is no such file.
var firstRoots = sync.OnceValue(func() *someRoots {
	file := rootFile()
	if file == "" {
		return nil
	}
	some := &someRoots{x509.NewCertPool(), make(chan struct{})}
	go func() {
		defer close(some.read)
		if raw, err := os.ReadFile(file); err == nil {
			some.pool.AppendCertsFromPEM(raw)
		}
	}()
	return some
})

// connections are a network that trusts the system's root certificates. It asks a server with those of one file first, and once more with all of them where its
// certificate is refused so: what is trusted is the same as ever, and so is the error.
type connections struct {
	few, all *http.Transport
	refused  atomic.Bool // by few
}

// trusting makes connections of t, which has a TLSClientConfig of its own and trusts all roots of the system, that trust some of them first. Roots are read
// while the network works.
func trusting(t *http.Transport, some *someRoots) *connections {
	if some == nil {
		go x509.SystemCertPool()
		return &connections{few: t, all: t}
	}
	c := &connections{few: t.Clone(), all: t}
	c.few.TLSClientConfig.RootCAs = some.pool
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c.few.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return awaiting{conn, some.read}, nil
	}
	return c
}

// awaiting is a connection from which nothing is read before something else has been: so no server's certificate is looked at before the roots are there.
type awaiting struct {
	net.Conn
	read <-chan struct{}
}

// Read implements io.Reader.
func (a awaiting) Read(p []byte) (int, error) {
	<-a.read
	return a.Conn.Read(p)
}

// RoundTrip implements http.RoundTripper. Where a certificate is refused, nothing of the request has been sent or read.
func (c *connections) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.few == c.all || c.refused.Load() {
		return c.all.RoundTrip(req)
	}
	resp, err := c.few.RoundTrip(req)
	if _, refused := errors.AsType[*tls.CertificateVerificationError](err); refused {
		c.refused.Store(true)
		return c.all.RoundTrip(req)
	}
	return resp, err
}

// proxyFor returns the proxy that a request goes through; nil: none.
func (c *connections) proxyFor(req *http.Request) (*url.URL, error) { return c.all.Proxy(req) }

// CloseIdleConnections closes those that are kept for further requests.
func (c *connections) CloseIdleConnections() {
	c.few.CloseIdleConnections()
	c.all.CloseIdleConnections()
}
