package token_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// shortResponse is the body of a token response. The token is short because a test cuts the
// response after each of its bytes.
const (
	shortToken    = "first-part.Second.3rd"
	shortResponse = `{"token_type":"Bearer","expires_in":3600,"access_token":"` + shortToken + `"}`
)

// maxRequests is how often the transport sends a request: once, and three retries.
const maxRequests = 4

// rawServer is a TLS server whose responses are written byte by byte. It reads one request from
// each connection. Then respond writes to the connection; n counts connections from 1.
type rawServer struct {
	t           *testing.T
	listener    net.Listener
	ca          string // PEM
	protocol    string // as in ALPN: "http/1.1" or "h2"
	respond     atomic.Pointer[func(conn *tls.Conn, n int)]
	connections atomic.Int64
	requests    atomic.Int64 // may be fewer: net/http may open an HTTP/2 connection in vain
	running     sync.WaitGroup
}

func newRawServer(t *testing.T, protocol string) *rawServer {
	t.Helper()
	cert, ca := selfSigned(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0",
		&tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{protocol}})
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{t: t, listener: listener, ca: ca, protocol: protocol}
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n := int(s.connections.Add(1))
			s.running.Go(func() { s.serve(conn.(*tls.Conn), n) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.running.Wait()
	})
	return s
}

// respondWith sets what happens to further connections.
func (s *rawServer) respondWith(respond func(conn *tls.Conn, n int)) { s.respond.Store(&respond) }

func (s *rawServer) serve(conn *tls.Conn, n int) {
	defer conn.Close()
	defer context.AfterFunc(s.t.Context(), func() { conn.NetConn().Close() })()
	if err := conn.Handshake(); err != nil {
		return
	}
	if err := readRequest(conn, s.protocol); err != nil {
		return
	}
	s.requests.Add(1)
	(*s.respond.Load())(conn, n)
}

// readRequest reads one whole request.
func readRequest(conn net.Conn, protocol string) error {
	if protocol == "http/1.1" {
		return readHTTP1Request(conn)
	}
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return err
	}
	for framer := http2.NewFramer(nil, conn); ; {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		part, ok := frame.(interface{ StreamEnded() bool })
		if ok && part.StreamEnded() {
			return nil
		}
	}
}

// readHTTP1Request reads a request with a Content-Length header.
func readHTTP1Request(conn net.Conn) error {
	var request []byte
	for chunk := make([]byte, 4096); ; {
		n, err := conn.Read(chunk)
		request = append(request, chunk[:n]...)
		header, body, complete := bytes.Cut(request, []byte("\r\n\r\n"))
		_, length, _ := strings.Cut(string(header), "Content-Length: ")
		length, _, _ = strings.Cut(length, "\r")
		if complete && length == fmt.Sprint(len(body)) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// frames returns the HTTP/2 frames that write writes.
func frames(write func(f *http2.Framer)) []byte {
	var b bytes.Buffer
	write(http2.NewFramer(&b, nil))
	return b.Bytes()
}

// headers returns header fields in HPACK. fields alternates between names and values.
func headers(fields ...string) []byte {
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

// writeHeaders writes a HEADERS frame for the first stream that holds all header fields.
func writeHeaders(f *http2.Framer, fields ...string) error {
	return f.WriteHeaders(http2.HeadersFrameParam{
		StreamID:      1,
		EndHeaders:    true,
		BlockFragment: headers(fields...),
	})
}

func writeGoodHeaders(f *http2.Framer) {
	f.WriteSettings()
	f.WriteSettingsAck()
	writeHeaders(f, ":status", "200", "content-type", "application/json")
}

func writeGoodResponse(f *http2.Framer) {
	writeGoodHeaders(f)
	f.WriteData(1, true, []byte(shortResponse))
}

const chunkedResponse = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
	"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n"

// goodResponses are complete responses as bytes, one for each way to mark the end of a response.
var goodResponses = []struct {
	name, protocol string
	wire           []byte
}{
	{"length", "http/1.1", fmt.Appendf(nil,
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(shortResponse), shortResponse)},
	{"chunks", "http/1.1", fmt.Appendf(nil, chunkedResponse,
		20, shortResponse[:20], len(shortResponse)-20, shortResponse[20:])},
	{"end of the connection", "http/1.1",
		[]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + shortResponse)},
	{"HTTP/1.0", "http/1.1", []byte("HTTP/1.0 200 OK\r\n\r\n" + shortResponse)},
	{"frames", "h2", frames(writeGoodResponse)},
	{"frame at the end", "h2", frames(func(f *http2.Framer) {
		writeGoodHeaders(f)
		f.WriteData(1, false, []byte(shortResponse[:30]))
		f.WriteData(1, false, []byte(shortResponse[30:]))
		f.WriteData(1, true, nil)
	})},
}

// connectionCuts are the ways to cut a connection.
var connectionCuts = []func(conn *tls.Conn){
	func(conn *tls.Conn) { conn.Close() },           // with TLS's close_notify
	func(conn *tls.Conn) { conn.NetConn().Close() }, // without it
	func(conn *tls.Conn) {
		conn.NetConn().(*net.TCPConn).SetLinger(0) // TCP reset
		conn.NetConn().Close()
	},
}

// A request whose response is cut after any of its bytes is retried. The cut response yields no
// token, and nothing is stored.
func TestTruncatedResponseIsRetriedAndNotStored(t *testing.T) {
	for _, response := range goodResponses {
		t.Run(response.name, func(t *testing.T) {
			t.Parallel()
			s := newRawServer(t, response.protocol)
			c := newTestCaller(t, s)
			for length := range response.wire {
				// A test with four failing requests is slow, so it does not run for every length.
				if length%4 == 0 || length == len(response.wire)-1 {
					s.truncateResponses(response.wire, length, maxRequests)
					if tok, err := c.get(); err == nil {
						t.Fatalf("cut after %d bytes: a token: %+v", length, tok)
					} else if n := s.requests.Load(); n != maxRequests {
						t.Errorf("cut after %d bytes: %d requests, want %d: %v",
							length, n, maxRequests, err)
					}
				}
				s.truncateResponses(response.wire, length, 1)
				tok, err := c.get()
				if n := s.requests.Load(); err != nil || tok.Value != shortToken || n != 2 {
					t.Errorf("cut after %d bytes, then whole: %+v, %v, %d requests",
						length, tok, err, n)
				}
				c.clearStore()
			}
		})
	}
}

// truncateResponses makes the server cut the next responses, count of them, after length bytes. All
// further responses are whole.
func (s *rawServer) truncateResponses(response []byte, length, count int) {
	s.requests.Store(0)
	s.respondWith(func(conn *tls.Conn, _ int) {
		n := int(s.requests.Load())
		if n > count {
			conn.Write(response)
			conn.CloseWrite()
			// Closing with unread data would reset the connection, maybe before the client has read
			// the response.
			io.Copy(io.Discard, conn)
			return
		}
		conn.Write(response[:length])
		connectionCuts[(length+n)%len(connectionCuts)](conn)
	})
}

// testCaller gets tokens from a rawServer. It checks that errors, the log and the store of a failed
// login do not show a secret.
type testCaller struct {
	t       *testing.T
	request token.Request
	options token.Options
	log     *bytes.Buffer
	store   *memoryStore
	secrets []string
}

// memoryStore is a token.Store in memory without a lock.
type memoryStore struct {
	mu   sync.Mutex
	data []byte
}

func (s *memoryStore) Get() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil {
		return nil, errors.New("no entry")
	}
	return s.data, nil
}

func (s *memoryStore) Put(data []byte, _ string, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
	return nil
}

func (s *memoryStore) Lock(context.Context, bool) (func(), error) { return func() {}, nil }

// newTestCaller returns a caller that uses s as its token proxy.
func newTestCaller(t *testing.T, s *rawServer) *testCaller {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	assertion := part(`{"alg":"RS256"}`) + "." +
		part(`{"iss":"https://issuer.example","sub":"s","aud":"a"}`) + "." + part("signature")
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"AZURE_KUBERNETES_TOKEN_PROXY": "https://" + s.listener.Addr().String(),
		"AZURE_KUBERNETES_CA_DATA":     s.ca,
	}
	c := &testCaller{
		t:       t,
		log:     &bytes.Buffer{},
		store:   &memoryStore{},
		secrets: []string{assertion, shortToken},
	}
	c.request = token.Request{
		Login:              "workloadidentity",
		TenantID:           tenant,
		ClientID:           client,
		FederatedTokenFile: tokenFile,
		Timeout:            time.Minute,
	}
	c.options = token.Options{
		Getenv:     func(name string) string { return env[name] },
		RetryDelay: time.Nanosecond,
		Store:      func([]byte, []string) token.Store { return c.store },
		Log: slog.New(
			slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return c
}

func (c *testCaller) clearStore() { c.store.data = nil }

func (c *testCaller) get() (token.Token, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), c.request.Timeout)
	defer cancel()
	c.log.Reset()
	tok, err := token.Get(ctx, c.request, c.options)
	if err == nil {
		return tok, nil
	}
	explanation := token.Explain(err)
	if explanation.Text == "" || explanation.Exit != token.ExitLoginFailed {
		c.t.Errorf("explained as %+v", explanation)
	}
	for _, secret := range c.secrets {
		for name, text := range map[string]string{
			"error": explanation.Text,
			"hint":  explanation.Hint,
			"log":   c.log.String(),
			"store": string(c.store.data),
		} {
			if strings.Contains(text, secret) {
				c.t.Errorf("the %s shows a secret: %s", name, text)
			}
		}
	}
	return tok, err
}

// selfSigned returns a certificate for 127.0.0.1 that is its own CA, and the CA in PEM.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca
}
