package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// hostileNetwork is a network in which every host name leads to one server with a certificate for
// that name which the program trusts. The server records the requests that it receives. Programs
// reach it through a CONNECT proxy.
type hostileNetwork struct {
	proxy     string // $HTTPS_PROXY
	ca        string // $SSL_CERT_FILE
	caCert    *x509.Certificate
	caKey     *ecdsa.PrivateKey
	leafKey   *ecdsa.PrivateKey
	handler   http.HandlerFunc // of all hosts
	tlsConfig *tls.Config
	plain     bool // no TLS

	mu       sync.Mutex
	received []receivedRequest
	dialed   []string // "host:port" of every CONNECT request
}

// receivedRequest is a request that the network has received.
type receivedRequest struct {
	host, method, path string
	header             http.Header
	body               string
}

func newHostileNetwork(t *testing.T, handler http.HandlerFunc) *hostileNetwork {
	t.Helper()
	n := &hostileNetwork{handler: handler}
	n.caKey, n.leafKey = newKey(t), newKey(t)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "hostile CA"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, n.caKey.Public(), n.caKey)
	if err != nil {
		t.Fatal(err)
	}
	if n.caCert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	n.ca = filepath.Join(t.TempDir(), "ca.pem")
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(n.ca, caPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	n.tlsConfig = &tls.Config{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return n.certificate(hello.ServerName)
		},
	}
	listener := &tunnelListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	silent := log.New(io.Discard, "", 0)
	server := &http.Server{Handler: http.HandlerFunc(n.serve), ErrorLog: silent}
	go server.Serve(listener)
	proxy := httptest.NewUnstartedServer(n.proxyHandler(listener))
	proxy.Config.ErrorLog = silent
	proxy.Start()
	n.proxy = proxy.URL
	t.Cleanup(func() {
		proxy.Close()
		listener.Close()
		server.Close()
	})
	return n
}

// proxyHandler handles CONNECT requests: it passes their tunnels to a listener.
func (n *hostileNetwork) proxyHandler(listener *tunnelListener) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.dialed = append(n.dialed, r.Host)
		n.mu.Unlock()
		if r.Method != http.MethodConnect {
			n.serve(w, r) // a request over plain HTTP
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		tunnel := net.Conn(bufferedConn{conn, buffered.Reader})
		if !n.plain {
			tunnel = tls.Server(tunnel, n.tlsConfig)
		}
		listener.put(tunnel)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certificate returns a certificate for a host name, or for the addresses of localhost if the
// client sends no host name.
func (n *hostileNetwork) certificate(name string) (*tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name == "" {
		template.DNSNames = nil
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, n.caCert, n.leafKey.Public(), n.caKey)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: n.leafKey}, err
}

func (n *hostileNetwork) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	n.mu.Lock()
	n.received = append(n.received, receivedRequest{
		r.Host, r.Method, r.URL.RequestURI(), r.Header.Clone(), string(body),
	})
	n.mu.Unlock()
	n.handler(w, r)
}

func (n *hostileNetwork) requests() []receivedRequest {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.received)
}

// tunnelListener is a listener for connections that come through the proxy.
type tunnelListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// put passes a connection to Accept, or closes it if the listener is closed.
func (l *tunnelListener) put(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		c.Close()
	}
}

func (l *tunnelListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *tunnelListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *tunnelListener) Addr() net.Addr { return &net.TCPAddr{} }

// bufferedConn is a connection whose beginning may be in a buffer.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// wantSecretOnlyAt checks that a secret, verbatim or encoded as in a form, was sent only to these
// hosts, and never in a URL. It returns how often it was sent.
func (n *hostileNetwork) wantSecretOnlyAt(
	t *testing.T, secret string, hosts ...string,
) (times int) {
	t.Helper()
	hasSecret := func(s string) bool {
		return strings.Contains(s, secret) || strings.Contains(s, url.QueryEscape(secret))
	}
	for _, r := range n.requests() {
		inHeader := false
		for _, values := range r.header {
			inHeader = inHeader || slices.ContainsFunc(values, hasSecret)
		}
		if hasSecret(r.path) {
			t.Errorf("%s %s: the URL has a secret", r.method, r.host)
		}
		if !hasSecret(r.body) && !inHeader {
			continue
		}
		times++
		if !slices.Contains(hosts, strings.TrimSuffix(r.host, ":443")) {
			t.Errorf("%s %s%s has a secret", r.method, r.host, r.path)
		}
	}
	return times
}

// runResult is the result of a run of the program.
type runResult struct {
	stdout, stderr string
	exit           int
}

// runProgram runs the program with these variables, a new home, and PATH.
func runProgram(t *testing.T, env []string, args ...string) runResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	home := t.TempDir()
	cmd := exec.CommandContext(ctx, "akslogin", args...)
	cmd.Dir = home
	cmd.Env = append([]string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + os.Getenv("PATH")}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return runResult{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// wantErrorLines checks that a run ended with one error line and at most one hint line, each of
// bounded length, and printed no credential.
func (r runResult) wantErrorLines(t *testing.T) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
	ok := (r.exit == 1 || r.exit == 2) && r.stdout == "" &&
		len(lines) <= 2 && strings.HasPrefix(lines[0], "akslogin: error: ")
	for i, line := range lines {
		ok = ok && len(line) < 1000 && (i == 0 || strings.HasPrefix(line, "akslogin: hint: "))
	}
	if !ok {
		t.Errorf("status %d, stdout %q, stderr\n%s", r.exit, r.stdout, r.stderr)
	}
}

// env returns the variables that send all requests to the network, and more.
func (n *hostileNetwork) env(more ...string) []string {
	return append([]string{
		"HTTPS_PROXY=" + n.proxy, "HTTP_PROXY=" + n.proxy, "SSL_CERT_FILE=" + n.ca,
	}, more...)
}

// wrongNameCertificate returns a GetCertificate function with the certificate of another host.
func wrongNameCertificate(n *hostileNetwork) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return n.certificate("evil.example")
	}
}

// wantPlainText checks the outputs of a run with textProblem.
func wantPlainText(t *testing.T, got runResult) {
	t.Helper()
	for name, text := range map[string]string{"stdout": got.stdout, "stderr": got.stderr} {
		if problem := textProblem(text, maxLineLength); problem != "" {
			t.Errorf("%s: %s in %.2000q", name, problem, text)
		}
	}
}

// maxLineLength bounds the length of lines on standard error: 900 bytes of text, and slog's prefix
// with -v.
const maxLineLength = 1100

// textProblem returns what makes a text unsafe to print: invalid UTF-8, characters that control a
// terminal, or hide or reorder text, or a long line. It returns "" if there is no problem.
func textProblem(text string, maxLength int) string {
	if !utf8.ValidString(text) {
		return "bytes that are not UTF-8"
	}
	unsafe := []*unicode.RangeTable{
		unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
	}
	marks := 0
	for _, c := range text {
		if c != '\n' && (unicode.IsControl(c) || unicode.In(c, unsafe...)) || c == '\u2800' {
			return fmt.Sprintf("%U", c)
		}
		if !unicode.In(c, unicode.Mn, unicode.Me) {
			marks = 0
		} else if marks++; marks > 4 {
			return "a stack of combining marks"
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > maxLength {
			return fmt.Sprintf("a line of %d bytes", len(line))
		}
	}
	return ""
}
