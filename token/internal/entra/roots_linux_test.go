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

// The file must be the one that crypto/x509 reads. Any other file could make akslogin trust
// certificates that the system does not trust.
func TestRootFileMatchesCryptoX509(t *testing.T) {
	dir := t.TempDir()
	good, other := filepath.Join(dir, "good"), filepath.Join(dir, "other")
	absent, device := filepath.Join(dir, "absent"), "/dev/null"
	for _, file := range []string{good, other} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	defer func(files []string) { rootFiles = files }(rootFiles)
	for _, c := range []struct {
		files              []string
		sslCertFile, debug string
		want               string
	}{
		{files: []string{good, other}, want: good},
		{files: []string{absent, other}, want: other},
		{files: []string{absent, absent}},
		{files: []string{device, other}}, // crypto/x509 reads it, finds nothing, and stops
		{files: []string{dir, other}},    // crypto/x509 tries the next file; rootFile need not
		{files: []string{filepath.Join(good, "below"), other}},
		{files: []string{good}, sslCertFile: other, want: other},
		{files: []string{good}, sslCertFile: absent},
		{files: []string{good}, sslCertFile: device},
		{files: []string{good}, debug: "http2client=0,x509usefallbackroots=1"},
	} {
		rootFiles = c.files
		t.Setenv("SSL_CERT_FILE", c.sslCertFile)
		t.Setenv("GODEBUG", c.debug)
		if got := rootFile(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// The handshake starts before the root certificates are loaded, and ends after that.
func TestRootsLoadDuringHandshake(t *testing.T) {
	started := make(chan struct{}, 1)
	answer := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "answer") }
	server := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	server.TLS = &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			started <- struct{}{}
			return nil, nil
		},
	}
	server.StartTLS()
	defer server.Close()
	roots := &fileRoots{x509.NewCertPool(), make(chan struct{})}
	base := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	h := newHTTPTransport(base, roots)
	defer h.CloseIdleConnections()
	go func() {
		<-started
		roots.pool.AddCert(server.Certificate()) // a data race if the client already uses the pool
		close(roots.loaded)
	}()
	resp, err := (&http.Client{Transport: h, Timeout: time.Minute}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "answer" || h.fileFailed.Load() {
		t.Errorf("%q, %v, fell back to the system's roots: %v", body, err, h.fileFailed.Load())
	}
}
