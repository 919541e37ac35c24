package entra

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The file must be the one that crypto/x509 reads: another would make us trust what the system does
// not.
func TestRootFileMatchesCryptoX509(t *testing.T) {
	dir := t.TempDir()
	good, other, absent, pipe := filepath.Join(dir, "good"), filepath.Join(dir, "other"), filepath.Join(dir, "absent"), "/dev/null"
	for _, file := range []string{good, other} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	defer func(files []string) { rootFiles = files }(rootFiles)
	for _, c := range []struct {
		files        []string
		named, debug string
		want         string
	}{
		{files: []string{good, other}, want: good},
		{files: []string{absent, other}, want: other},
		{files: []string{absent, absent}},
		{files: []string{pipe, other}}, // x509 reads it, finds nothing, and looks no further
		{files: []string{dir, other}},  // x509 goes on to the next; so it may, but not here
		{files: []string{filepath.Join(good, "below"), other}},
		{files: []string{good}, named: other, want: other},
		{files: []string{good}, named: absent},
		{files: []string{good}, named: pipe},
		{files: []string{good}, debug: "http2client=0,x509usefallbackroots=1"},
	} {
		rootFiles = c.files
		t.Setenv("SSL_CERT_FILE", c.named)
		t.Setenv("GODEBUG", c.debug)
		if got := rootFile(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Roots are read while the network works: the handshake has begun before they are there, and ends
// when they are.
func TestRootsLoadDuringHandshake(t *testing.T) {
	hello := make(chan struct{}, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "answer") }))
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		hello <- struct{}{}
		return nil, nil
	}}
	server.StartTLS()
	defer server.Close()
	some := &fileRoots{x509.NewCertPool(), make(chan struct{})}
	c := newHTTPTransport(&http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}, some)
	defer c.CloseIdleConnections()
	go func() {
		<-hello
		some.pool.AddCert(server.Certificate()) // with the race detector: nobody has looked at them yet
		close(some.loaded)
	}()
	resp, err := (&http.Client{Transport: c, Timeout: time.Minute}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "answer" || c.refused.Load() {
		t.Errorf("%q, %v, refused: %v", body, err, c.refused.Load())
	}
}
