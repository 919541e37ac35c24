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

// hostileNetwork is a network in which every name leads to one server, which has a certificate for
// it that the program believes: as bad as the names that something secret is sent to can be. It
// keeps what it was sent, host by host. Programs reach it by a CONNECT proxy.
type hostileNetwork struct {
	proxy     string // $HTTPS_PROXY
	ca        string // $SSL_CERT_FILE
	caCert    *x509.Certificate
	caKey     *ecdsa.PrivateKey
	leafKey   *ecdsa.PrivateKey
	answer    http.HandlerFunc // what all hosts do
	tlsConfig *tls.Config
	plain     bool // it speaks no TLS

	mu       sync.Mutex
	received []receivedRequest
	dialed   []string // "host:port" of every CONNECT
}

// receivedRequest is a request as it arrived.
type receivedRequest struct {
	host, method, path string
	header             http.Header
	body               string
}

func newHostileNetwork(t *testing.T, answer http.HandlerFunc) *hostileNetwork {
	t.Helper()
	e := &hostileNetwork{answer: answer}
	e.caKey, e.leafKey = newKey(t), newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "everywhere"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, e.caKey.Public(), e.caKey)
	if err != nil {
		t.Fatal(err)
	}
	if e.caCert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	e.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(e.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	e.tlsConfig = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return e.certificate(hello.ServerName) }}
	inside := &tunnels{conns: make(chan net.Conn), closed: make(chan struct{})}
	quiet := log.New(io.Discard, "", 0)
	served := &http.Server{Handler: http.HandlerFunc(e.serve), ErrorLog: quiet}
	go served.Serve(inside)
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.dialed = append(e.dialed, r.Host)
		e.mu.Unlock()
		if r.Method != http.MethodConnect {
			e.serve(w, r) // as plain HTTP asks a proxy
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		tunnel := net.Conn(preread{conn, buffered.Reader})
		if !e.plain {
			tunnel = tls.Server(tunnel, e.tlsConfig)
		}
		inside.put(tunnel)
	}))
	proxy.Config.ErrorLog = quiet
	proxy.Start()
	e.proxy = proxy.URL
	t.Cleanup(func() {
		proxy.Close()
		inside.Close()
		served.Close()
	})
	return e
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (e *hostileNetwork) certificate(name string) (*tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if name == "" { // an address
		template.DNSNames, template.IPAddresses = nil, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, e.caCert, e.leafKey.Public(), e.caKey)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: e.leafKey}, err
}

func (e *hostileNetwork) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	e.mu.Lock()
	e.received = append(e.received, receivedRequest{r.Host, r.Method, r.URL.RequestURI(), r.Header.Clone(), string(body)})
	e.mu.Unlock()
	e.answer(w, r)
}

func (e *hostileNetwork) requests() []receivedRequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.received)
}

// tunnels is a listener for connections that came through the proxy.
type tunnels struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *tunnels) put(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		c.Close()
	}
}

func (l *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *tunnels) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *tunnels) Addr() net.Addr { return &net.TCPAddr{} }

type preread struct {
	net.Conn
	r *bufio.Reader
}

func (p preread) Read(b []byte) (int, error) { return p.r.Read(b) }

// wantSecretOnlyAt fails where something secret, as it is or as a form has it, arrived at another
// host, or anywhere in a URL. It returns how often it arrived at all.
func (e *hostileNetwork) wantSecretOnlyAt(t *testing.T, secret string, hosts ...string) (times int) {
	t.Helper()
	for _, l := range e.requests() {
		holds := func(s string) bool {
			return strings.Contains(s, secret) || strings.Contains(s, url.QueryEscape(secret))
		}
		inHeader := false
		for _, values := range l.header {
			inHeader = inHeader || slices.ContainsFunc(values, holds)
		}
		if holds(l.path) {
			t.Errorf("%s %s: a secret is in the address", l.method, l.host)
		}
		if !holds(l.body) && !inHeader {
			continue
		}
		times++
		if !slices.Contains(hosts, strings.TrimSuffix(l.host, ":443")) {
			t.Errorf("%s %s%s was sent a secret", l.method, l.host, l.path)
		}
	}
	return times
}

// runResult is what a run of the program did.
type runResult struct {
	stdout, stderr string
	exit           int
}

// runProgram runs the program in an environment that is empty but for what it is given, at a fast
// pace.
func runProgram(t *testing.T, env []string, args ...string) runResult {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 2*time.Minute)
	defer done()
	home := t.TempDir()
	cmd := exec.CommandContext(ctx, "akslogin", args...)
	cmd.Dir = home
	cmd.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return runResult{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// wantErrorLines fails where the run was not one that ended in an error for people.
func (a runResult) wantErrorLines(t *testing.T) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(a.stderr, "\n"), "\n")
	ok := (a.exit == 1 || a.exit == 2) && a.stdout == "" && len(lines) <= 2 && strings.HasPrefix(lines[0], "akslogin: error: ")
	for i, line := range lines {
		ok = ok && len(line) < 1000 && (i == 0 || strings.HasPrefix(line, "akslogin: hint: "))
	}
	if !ok {
		t.Errorf("it ended with %d and %q, and said\n%s", a.exit, a.stdout, a.stderr)
	}
}

// env leads everything to e.
func (e *hostileNetwork) env(more ...string) []string {
	return append([]string{"HTTPS_PROXY=" + e.proxy, "HTTP_PROXY=" + e.proxy, "SSL_CERT_FILE=" + e.ca}, more...)
}

// wrongNameCertificate makes e show another host's certificate.
func wrongNameCertificate(e *hostileNetwork) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return e.certificate("evil.example") }
}

// wantPlainText fails where anything was written that a terminal or a log would take for more than
// text: see unclean.
func wantPlainText(t *testing.T, got runResult) {
	t.Helper()
	for name, text := range map[string]string{"stdout": got.stdout, "stderr": got.stderr} {
		if why := textProblem(text, maxLineLength); why != "" {
			t.Errorf("%s: %s in %.2000q", name, why, text)
		}
	}
}

// maxLineLength bounds lines that people and logs get: a text of 900 bytes, and at -v what slog
// writes before it.
const maxLineLength = 1100

// textProblem says what is in a text that a terminal could obey, that hides or turns other text, or
// that is too long a line; "" where it is fit for people.
func textProblem(text string, longest int) string {
	if !utf8.ValidString(text) {
		return "bytes that are no UTF-8"
	}
	marks := 0
	for _, c := range text {
		switch {
		case c == '\n':
		case unicode.IsControl(c), unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs),
			unicode.In(c, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector), c == '\u2800':
			return fmt.Sprintf("%U", c)
		case unicode.Is(unicode.M, c):
			if marks++; marks > 4 {
				return "a stack of marks"
			}
			continue
		}
		marks = 0
	}
	for line := range strings.Lines(text) {
		if len(line) > longest {
			return fmt.Sprintf("a line of %d bytes", len(line))
		}
	}
	return ""
}
