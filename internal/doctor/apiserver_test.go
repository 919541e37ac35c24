package doctor

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/token"
)

// doctor explains the answers of an API server, and of another server at its address. A test in e2e
// uses a real API server.
func TestCheckAPIServer(t *testing.T) {
	const review = `{"kind":"SelfSubjectReview","status":{"userInfo":{"username":"%s","groups":["system:authenticated"]}}}`
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a second host is asked, with %q", r.Header)
	}))
	defer elsewhere.Close()
	for name, test := range map[string]struct {
		status int
		answer string
		want   token.Status
		says   string
	}{
		"somebody":  {201, fmt.Sprintf(review, "5f1c"), token.StatusOK, `takes it for user "5f1c" in groups ["system:authenticated"]`},
		"nobody":    {201, fmt.Sprintf(review, "system:anonymous"), token.StatusError, "does not know whose token it is"},
		"refused":   {401, `{"kind":"Status","message":"Unauthorized"}`, token.StatusError, "refuses the token (401)"},
		"forgotten": {401, `{}`, token.StatusError, process.Name() + " cache clear"},
		"cached":    {201, fmt.Sprintf(review, "5f1c"), token.StatusOK, process.Name() + " cache clear removes older tokens"},
		"old":       {404, `{"kind":"Status"}`, token.StatusWarning, "older than Kubernetes 1.28"},
		"forbidden": {403, `{"kind":"Status","message":"no\u001b[31m"}`, token.StatusError, "forbids a SelfSubjectReview"},
		"page":      {200, "<html>", token.StatusError, "answers with HTTP status 200"},
		"no JSON":   {201, "<html>", token.StatusError, "answers with HTTP status 201"},
		"redirect":  {307, elsewhere.URL, token.StatusError, "answers with HTTP status 307"},
	} {
		t.Run(name, func(t *testing.T) {
			api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != http.MethodPost || r.URL.Path != "/prefix/apis/authentication.k8s.io/v1/selfsubjectreviews" || r.Header.Get("Authorization") != "Bearer the-token" || !strings.Contains(string(body), "SelfSubjectReview") {
					t.Errorf("%s %s %q %s", r.Method, r.URL, r.Header, body)
				}
				if test.status == 307 {
					http.Redirect(w, r, test.answer, test.status)
					return
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.answer)
			}))
			defer api.Close()
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
			cluster := map[string]any{"server": api.URL + "/prefix", "certificate-authority-data": base64.StdEncoding.EncodeToString(ca)}
			found := checkAPIServer(t.Context(), cluster, "the-token").Redacted()
			if found.Status != test.want || !strings.Contains(found.Text+found.Todo, test.says) || strings.ContainsAny(found.Text, "\x1b") || strings.Contains(fmt.Sprint(found), "the-token") {
				t.Errorf("%+v", found)
			}
			delete(cluster, "certificate-authority-data")
			if found := checkAPIServer(t.Context(), cluster, "the-token"); found.Status != token.StatusError || !strings.Contains(found.Text, "certificate") {
				t.Errorf("without its CA: %+v", found)
			}
		})
	}
}

// A kubeconfig can tell clients to trust any certificate. doctor sends no token there, and warns.
func TestCheckAPIServerIgnoresInsecureSkipTLSVerify(t *testing.T) {
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("somebody else gets the token")
		}
	}))
	defer api.Close()
	cluster := map[string]any{"server": api.URL, "insecure-skip-tls-verify": true}
	found := checkAPIServer(t.Context(), cluster, "the-token")
	if found.Status != token.StatusError || !strings.Contains(found.Text, "certificate") ||
		!strings.Contains(found.Text, "the token was not sent") {
		t.Errorf("%+v", found)
	}
	found = checkCertificateCheck(cluster)
	if found.Status != token.StatusWarning || !strings.Contains(found.Text, "clients send the token to whoever answers") {
		t.Errorf("%+v", found)
	}
	for _, cluster := range []map[string]any{nil, {}, {"insecure-skip-tls-verify": false}} {
		if found := checkCertificateCheck(cluster); found.Status != "" {
			t.Errorf("%+v: %+v", cluster, found)
		}
	}
}

// doctor sends no token to a server if its entry in the kubeconfig is not safe.
func TestCheckAPIServerSendsNoTokenToUnsafeServer(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Errorf("asked: %q", r.Header) }))
	defer api.Close()
	closed := &url.URL{Scheme: "https", Host: api.Listener.Addr().String()} // no TLS there
	for name, test := range map[string]struct {
		cluster map[string]any
		bearer  string
		want    token.Status
	}{
		"no cluster":    {nil, "the-token", token.StatusError},
		"no token":      {map[string]any{"server": closed.String()}, "", token.StatusSkipped},
		"no server":     {map[string]any{}, "the-token", token.StatusError},
		"no TLS":        {map[string]any{"server": api.URL}, "the-token", token.StatusError},
		"a user":        {map[string]any{"server": "https://user:hidden@" + closed.Host}, "the-token", token.StatusError},
		"no CA":         {map[string]any{"server": closed.String(), "certificate-authority-data": "eA=="}, "the-token", token.StatusError},
		"no proxy":      {map[string]any{"server": closed.String(), "proxy-url": ":"}, "the-token", token.StatusError},
		"not listening": {map[string]any{"server": closed.String(), "insecure-skip-tls-verify": true}, "the-token", token.StatusError},
	} {
		t.Run(name, func(t *testing.T) {
			found := checkAPIServer(t.Context(), test.cluster, test.bearer)
			if found.Status != test.want || found.Status == token.StatusError && found.Text == "" || strings.Contains(fmt.Sprint(found), "hidden") || strings.Contains(fmt.Sprint(found), "the-token") {
				t.Errorf("%+v", found)
			}
		})
	}
}

// doctor reports any answer of an API server in readable text.
func FuzzSelfSubjectReview(f *testing.F) {
	f.Add(201, []byte(`{"status":{"userInfo":{"username":"u","groups":["g"]}}}`))
	f.Add(201, []byte(`{"status":{"userInfo":{"username":"\u001b[31m\u202e","groups":["\u009b"]}}}`))
	f.Add(403, []byte("{\"message\":\"\u2028 \\u001b]52;c;x\\u0007\"}"))
	f.Add(500, []byte("\xff<html>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		found := reviewFinding(token.Finding{Status: token.StatusError, Check: "API server", Text: "it"}, status, body)
		shown := found.Redacted()
		if text := shown.Text + shown.Todo; !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) }) {
			t.Fatalf("%q", text)
		}
		if (found.Status == token.StatusOK) != (status == 201 && strings.Contains(found.Text, "takes it for user")) {
			t.Fatalf("%d %s: %+v", status, body, found)
		}
	})
}
