package token_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/token"
)

const (
	tenant  = "11111111-aaaa-4444-8888-000000000001"
	client  = "22222222-bbbb-4444-8888-000000000001"
	subject = "system:serviceaccount:airflow:worker"
)

// A program that imports the package may call Get from many goroutines. One exchange serves them
// all, and no goroutines are left.
func TestConcurrentGetExchangesOnceAndLeaksNothing(t *testing.T) {
	s := entratest.New(t)
	r, opts := newLogin(t, s)
	get := func() string {
		tok, err := token.Get(t.Context(), r, opts)
		if err != nil {
			t.Errorf("%+v", token.Explain(err))
		}
		return tok.Value
	}

	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() { get() })
	}
	callers.Wait()
	if s.TokenRequests() != 1 {
		t.Errorf("%d token requests, want 1", s.TokenRequests())
	}
	stored := get()
	if _, err := s.Verify(stored, entratest.AKSServerID); err != nil {
		t.Error(err)
	}

	opts.Store = nil
	get() // starts the goroutines that the process starts once
	before := runtime.NumGoroutine()
	for range 20 {
		if get() == stored {
			t.Error("the same token without a store")
		}
	}
	for range 500 { // the server needs a moment to close its connections
		if runtime.NumGoroutine() <= before+5 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left after 20 exchanges", runtime.NumGoroutine()-before)
}

// newLogin registers an application at s. It returns a login for the application with a federated
// token, and options with a cache.
func newLogin(t *testing.T, s *entratest.Server) (token.Request, token.Options) {
	s.Register(entratest.App{
		Tenant:               tenant,
		ClientID:             client,
		FederatedCredentials: []entratest.FederatedCredential{{Issuer: s.Issuer, Subject: subject}},
	})
	// The token proxy's CA can be named without a change to the root certificates of the process.
	env := map[string]string{
		"AZURE_KUBERNETES_TOKEN_PROXY": s.TokenProxyURL(),
		"AZURE_KUBERNETES_CA_FILE":     s.TokenProxyCAFile,
	}
	dir := cache.Dir{Path: filepath.Join(t.TempDir(), "cache")}
	opts := token.Options{
		Getenv: func(name string) string { return env[name] },
		Store: func(secret []byte, inputs []string) token.Store {
			entry, err := dir.Entry(secret, inputs...)
			if err != nil {
				t.Error(err)
			}
			return entry
		},
	}
	return token.Request{
		Login:              "workloadidentity",
		TenantID:           tenant,
		ClientID:           client,
		FederatedTokenFile: writeTokenFile(t, s.Assertion(entratest.Claims{Subject: subject})),
	}, opts
}

// writeTokenFile writes a federated token to a file and returns the file's path.
func writeTokenFile(t *testing.T, federatedToken string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(federatedToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// If a server sends two responses, the second does not appear in the standard log. net/http would
// write it there if the connection stayed open, and it may hold a token.
func TestSecondResponseIsNotLogged(t *testing.T) {
	for _, authority := range []string{
		"https://login.microsoftonline.com/", "https://private.example/",
	} {
		t.Run(authority, func(t *testing.T) { testSecondResponseIsNotLogged(t, authority) })
	}
}

func testSecondResponseIsNotLogged(t *testing.T, authority string) {
	const secret = "aaa.bbb.ccc"
	server, responded := newTwoResponseServer(t, authority, secret)
	var log bytes.Buffer
	stdlog.SetOutput(&log)
	defer stdlog.SetOutput(os.Stderr)

	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	env := map[string]string{
		"AZURE_KUBERNETES_TOKEN_PROXY": server.URL,
		"AZURE_KUBERNETES_SNI_NAME":    "example.com",
		"AZURE_KUBERNETES_CA_DATA":     string(ca),
	}
	r := token.Request{
		Login:                    "workloadidentity",
		TenantID:                 tenant,
		ClientID:                 client,
		FederatedTokenFile:       writeTokenFile(t, entratest.New(t).Assertion(entratest.Claims{})),
		AuthorityHost:            authority,
		DisableInstanceDiscovery: true,
	}
	opts := token.Options{Getenv: func(name string) string { return env[name] }}
	tok, err := token.Get(t.Context(), r, opts)
	if err != nil || tok.Value != secret {
		t.Fatalf("%+v, %v", tok, err)
	}
	<-responded
	if strings.Contains(log.String(), secret) {
		t.Errorf("logged: %s", log.String())
	}
}

// newTwoResponseServer returns a server for a tenant of authority that sends two responses with
// accessToken to a token request. responded is closed after the client has closed the connection.
func newTwoResponseServer(t *testing.T, authority, accessToken string) (
	server *httptest.Server, responded <-chan struct{},
) {
	body := `{"token_type":"Bearer","expires_in":3600,"access_token":"` + accessToken + `"}`
	response := fmt.Sprintf(
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body)
	discovery := fmt.Sprintf(`{"authorization_endpoint":"%[1]st/authorize",`+
		`"token_endpoint":"%[1]st/token","issuer":"%[1]st/v2.0"}`, authority)
	done := make(chan struct{})
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, discovery)
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer close(done)
		defer conn.Close()
		io.WriteString(conn, response+response)
		io.Copy(io.Discard, conn) // until the client closes the connection
	}))
	t.Cleanup(server.Close)
	return server, done
}

// Post sends a token to HTTPS URLs only.
func TestPostSendsTokenToHTTPSOnly(t *testing.T) {
	requests := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests <- r.Host
	}))
	defer server.Close()
	opts := token.Options{RetryDelay: time.Millisecond}
	tok := token.Token{Value: "secret"}
	for _, address := range []string{server.URL, "https:///x", "management.azure.com", "\x7f"} {
		_, err := token.Post(t.Context(), address, token.Request{}, tok, opts)
		if err == nil {
			t.Errorf("a token was sent to %q", address)
		}
	}
	if len(requests) > 0 {
		t.Errorf("a request reached %s", <-requests)
	}
}
