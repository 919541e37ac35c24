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

// Parts of answers that are written byte by byte. The token is short, so that every byte can be the
// last one.
const (
	shortToken    = "first-part.Second.3rd"
	shortResponse = `{"token_type":"Bearer","expires_in":3600,"access_token":"` + shortToken + `"}`
)

// maxRequests is how often one request is made: once, and three times again.
const maxRequests = 4

// A peer is a server that is written by hand, down to the bytes. Its answer is what it does with a
// connection whose request was read; the number counts connections from 1.
type rawServer struct {
	t           *testing.T
	ln          net.Listener
	ca          string
	protocol    string
	respond     atomic.Pointer[func(conn *tls.Conn, n int)]
	connections atomic.Int64
	requests    atomic.Int64 // requests that were read: under HTTP/2 net/http may open a connection that it does not use
	wg          sync.WaitGroup
}

// newRawServer serves with ALPN's http/1.1 or h2.
func newRawServer(t *testing.T, protocol string) *rawServer {
	t.Helper()
	cert, ca := selfSigned(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{protocol}})
	if err != nil {
		t.Fatal(err)
	}
	p := &rawServer{t: t, ln: ln, ca: ca, protocol: protocol}
	p.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n := int(p.connections.Add(1))
			p.wg.Go(func() { p.serve(conn.(*tls.Conn), n) })
		}
	})
	t.Cleanup(func() { ln.Close(); p.wg.Wait() })
	return p
}

func (p *rawServer) serve(conn *tls.Conn, n int) {
	defer conn.Close()
	defer context.AfterFunc(p.t.Context(), func() { conn.NetConn().Close() })()
	if err := conn.Handshake(); err != nil {
		return
	}
	if readRequest(conn, p.protocol) != nil { // it is answered by nothing
		return
	}
	p.requests.Add(1)
	(*p.respond.Load())(conn, n)
}

// readRequest reads all that comes before an answer is due. The client's frames are in order:
// preface, SETTINGS, the request.
func readRequest(conn net.Conn, protocol string) error {
	if protocol == "http/1.1" {
		var all []byte
		for piece := make([]byte, 4096); ; {
			n, err := conn.Read(piece)
			all = append(all, piece[:n]...)
			head, body, found := bytes.Cut(all, []byte("\r\n\r\n"))
			_, length, _ := strings.Cut(string(head), "Content-Length: ")
			length, _, _ = strings.Cut(length, "\r")
			if found && length == fmt.Sprint(len(body)) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return err
	}
	for framer := http2.NewFramer(nil, conn); ; {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		if part, is := frame.(interface{ StreamEnded() bool }); is && part.StreamEnded() {
			return nil
		}
	}
}

// frames are HTTP/2's, as a server writes them.
func frames(write func(f *http2.Framer)) []byte {
	var b bytes.Buffer
	write(http2.NewFramer(&b, nil))
	return b.Bytes()
}

// headers are an answer's, in HPACK.
func headers(fields ...string) []byte {
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // to memory
	}
	return b.Bytes()
}

func writeGoodHeaders(f *http2.Framer) {
	f.WriteSettings()
	f.WriteSettingsAck()
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: headers(":status", "200", "content-type", "application/json")})
}

func writeGoodResponse(f *http2.Framer) {
	writeGoodHeaders(f)
	f.WriteData(1, true, []byte(shortResponse))
}

// goodResponses are whole answers on the wire, by the way in which they say where their end is.
var goodResponses = []struct {
	name, protocol string
	wire           []byte
}{
	{"length", "http/1.1", fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(shortResponse), shortResponse)},
	{"chunks", "http/1.1", fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 20, shortResponse[:20], len(shortResponse)-20, shortResponse[20:])},
	{"end of the connection", "http/1.1", []byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + shortResponse)},
	{"HTTP/1.0", "http/1.1", []byte("HTTP/1.0 200 OK\r\n\r\n" + shortResponse)},
	{"frames", "h2", frames(writeGoodResponse)},
	{"frame at the end", "h2", frames(func(f *http2.Framer) {
		writeGoodHeaders(f)
		f.WriteData(1, false, []byte(shortResponse[:30]))
		f.WriteData(1, false, []byte(shortResponse[30:]))
		f.WriteData(1, true, nil)
	})},
}

// connectionCuts are the ways in which a connection is cut.
var connectionCuts = []func(conn *tls.Conn){
	func(conn *tls.Conn) { conn.Close() }, // in order, as far as TLS is concerned
	func(conn *tls.Conn) { conn.NetConn().Close() },
	func(conn *tls.Conn) {
		conn.NetConn().(*net.TCPConn).SetLinger(0) // a reset
		conn.NetConn().Close()
	},
}

// A token answer that is cut after any of its bytes is asked for again, is no token, and is not
// kept.
func TestTruncatedResponseIsRetriedAndNotStored(t *testing.T) {
	for _, whole := range goodResponses {
		t.Run(whole.name, func(t *testing.T) {
			t.Parallel()
			p := newRawServer(t, whole.protocol)
			c := newTestCaller(t, p)
			serve := func(cut, cuts int) {
				p.requests.Store(0)
				p.respondWith(func(conn *tls.Conn, _ int) {
					n := int(p.requests.Load())
					if n > cuts {
						conn.Write(whole.wire)
						conn.CloseWrite()
						io.Copy(io.Discard, conn) // closed with something unread, it would be a reset, which may come before the answer has been read
						return
					}
					conn.Write(whole.wire[:cut])
					connectionCuts[(cut+n)%len(connectionCuts)](conn)
				})
			}
			for cut := range whole.wire {
				if cut%4 == 0 || cut == len(whole.wire)-1 { // always; not everywhere, as this is what costs
					serve(cut, maxRequests)
					if tok, err := c.get(); err == nil {
						t.Fatalf("cut after %d bytes: a token: %+v", cut, tok)
					} else if n := p.requests.Load(); n != maxRequests {
						t.Errorf("cut after %d bytes: asked %d times, want %d: %v", cut, n, maxRequests, err)
					}
				}
				serve(cut, 1)
				if tok, err := c.get(); err != nil || tok.Value != shortToken || p.requests.Load() != 2 {
					t.Errorf("cut after %d bytes, then whole: %+v, %v, asked %d times", cut, tok, err, p.requests.Load())
				}
				c.forget()
			}
		})
	}
}

func (p *rawServer) respondWith(answer func(conn *tls.Conn, n int)) { p.respond.Store(&answer) }

// A caller asks a peer for tokens, and sees to it that nothing secret is said and nothing is kept
// but tokens that it got.
type testCaller struct {
	t       *testing.T
	request token.Request
	options token.Options
	logged  *bytes.Buffer
	store   *memoryStore
	secrets []string
}

// memoryStore is a store in memory.
type memoryStore struct {
	mu   sync.Mutex
	data []byte
}

func (k *memoryStore) Get() ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.data == nil {
		return nil, errors.New("nothing here")
	}
	return k.data, nil
}

func (k *memoryStore) Put(data []byte, _ string, _ time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.data = data
	return nil
}

func (k *memoryStore) Lock(context.Context, bool) (func(), error) { return func() {}, nil }

func newTestCaller(t *testing.T, p *rawServer) *testCaller {
	federated := filepath.Join(t.TempDir(), "token")
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	assertion := part(`{"alg":"RS256"}`) + "." + part(`{"iss":"https://issuer.example","sub":"s","aud":"a"}`) + "." + part("signature")
	if err := os.WriteFile(federated, []byte(assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"AZURE_KUBERNETES_TOKEN_PROXY": "https://" + p.ln.Addr().String(), "AZURE_KUBERNETES_CA_DATA": p.ca}
	c := &testCaller{t: t, logged: &bytes.Buffer{}, store: &memoryStore{}, secrets: []string{assertion, shortToken}}
	c.request = token.Request{Login: "workloadidentity", TenantID: tenant, ClientID: client, FederatedTokenFile: federated, Timeout: time.Minute}
	c.options = token.Options{
		Getenv: func(name string) string { return env[name] }, RetryDelay: time.Nanosecond,
		Store: func([]byte, []string) token.Store { return c.store },
		Log:   slog.New(slog.NewTextHandler(c.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return c
}

func (c *testCaller) forget() { c.store.data = nil }

func (c *testCaller) get() (token.Token, error) {
	c.t.Helper()
	ctx, done := context.WithTimeout(c.t.Context(), c.request.Timeout)
	defer done()
	c.logged.Reset()
	tok, err := token.Get(ctx, c.request, c.options)
	if err == nil {
		return tok, nil
	}
	said := token.Explain(err)
	if said.Text == "" || said.Exit != token.ExitLoginFailed {
		c.t.Errorf("explained as %+v", said)
	}
	for _, secret := range c.secrets {
		for where, text := range map[string]string{"the error": said.Text, "the hint": said.Hint, "the log": c.logged.String(), "the store": string(c.store.data)} {
			if strings.Contains(text, secret) {
				c.t.Errorf("%s holds a secret: %s", where, text)
			}
		}
	}
	return tok, err
}

// selfSigned is a certificate for loopback that is its own CA.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
