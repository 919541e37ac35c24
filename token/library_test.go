package token_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"log"
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

// A program may use the package instead of running the plugin: from many goroutines, again and
// again, and nothing piles up.
func TestConcurrentGetExchangesOnceAndLeaksNothing(t *testing.T) {
	s := entratest.New(t)
	s.Register(entratest.App{Tenant: tenant, ClientID: client, FederatedCredentials: []entratest.FederatedCredential{{Issuer: s.Issuer, Subject: subject}}})
	federated := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(federated, []byte(s.Assertion(entratest.Claims{Subject: subject})), 0o600); err != nil {
		t.Fatal(err)
	}
	// The token proxy has a CA of its own that can be named without touching the process's roots.
	env := map[string]string{"AZURE_KUBERNETES_TOKEN_PROXY": s.TokenProxyURL(), "AZURE_KUBERNETES_CA_FILE": s.TokenProxyCAFile}
	dir := cache.Dir{Path: filepath.Join(t.TempDir(), "cache")}
	w := token.Options{
		Getenv: func(name string) string { return env[name] },
		Store: func(secret []byte, inputs []string) token.Store {
			entry, err := dir.Entry(secret, inputs...)
			if err != nil {
				t.Error(err)
			}
			return entry
		},
	}
	r := token.Request{Login: "workloadidentity", TenantID: tenant, ClientID: client, FederatedTokenFile: federated}
	get := func() string {
		tok, err := token.Get(t.Context(), r, w)
		if err != nil {
			t.Errorf("%+v", token.Explain(err))
		}
		return tok.Value
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { get() })
	}
	all.Wait()
	if s.TokenRequests() != 1 {
		t.Errorf("%d token requests, want 1", s.TokenRequests())
	}
	first := get()
	if _, err := s.Verify(first, entratest.AKSServerID); err != nil {
		t.Error(err)
	}
	w.Store = nil
	get() // what is made once is made
	before := runtime.NumGoroutine()
	for range 20 {
		if get() == first {
			t.Error("without a store the same token came twice")
		}
	}
	for range 500 { // the server's ends of the connections need a moment
		if runtime.NumGoroutine() <= before+5 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines were left by 20 exchanges", runtime.NumGoroutine()-before)
}

// A server that answers twice is quoted by net/http in the standard log, token and all, where its
// connection is kept.
func TestSecondResponseIsNotLogged(t *testing.T) {
	for _, authority := range []string{"https://login.microsoftonline.com/", "https://private.example/"} {
		t.Run(authority, func(t *testing.T) { testSecondResponseIsNotLogged(t, authority) })
	}
}

func testSecondResponseIsNotLogged(t *testing.T, authority string) {
	const secret = "aaa.bbb.ccc"
	answered := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet { // discovery
			fmt.Fprintf(w, `{"authorization_endpoint":"%[1]st/authorize","token_endpoint":"%[1]st/token","issuer":"%[1]st/v2.0"}`, authority)
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer close(answered)
		defer conn.Close()
		body := `{"token_type":"Bearer","expires_in":3600,"access_token":"` + secret + `"}`
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		io.WriteString(conn, answer+answer)
		io.Copy(io.Discard, conn) // until the client hangs up
	}))
	defer server.Close()
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)

	s := entratest.New(t)
	federated := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(federated, []byte(s.Assertion(entratest.Claims{})), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"AZURE_KUBERNETES_TOKEN_PROXY": server.URL, "AZURE_KUBERNETES_SNI_NAME": "example.com",
		"AZURE_KUBERNETES_CA_DATA": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
	}
	tok, err := token.Get(t.Context(), token.Request{Login: "workloadidentity", TenantID: tenant, ClientID: client, FederatedTokenFile: federated, AuthorityHost: authority, DisableInstanceDiscovery: true},
		token.Options{Getenv: func(name string) string { return env[name] }})
	if err != nil || tok.Value != secret {
		t.Fatalf("%+v, %v", tok, err)
	}
	<-answered
	if strings.Contains(logged.String(), secret) {
		t.Errorf("logged: %s", logged.String())
	}
}

// A token is given to the address that was named, over TLS, and to no other.
func TestPostSendsTokenToHTTPSOnly(t *testing.T) {
	asked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r.Host }))
	defer server.Close()
	w := token.Options{RetryDelay: time.Millisecond}
	for _, address := range []string{server.URL, "https:///x", "management.azure.com", "\x7f"} {
		if _, err := token.Post(t.Context(), address, token.Request{}, token.Token{Value: "secret"}, w); err == nil {
			t.Errorf("%q was sent a token", address)
		}
	}
	if len(asked) > 0 {
		t.Errorf("%s was asked", <-asked)
	}
}
