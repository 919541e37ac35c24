package main

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

	"github.com/akslogin/akslogin/token"
)

// What an API server may answer, and what somebody else may in its place. That a real one is understood is tested in e2e.
func TestAskServer(t *testing.T) {
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
		"somebody":  {201, fmt.Sprintf(review, "5f1c"), token.OK, `takes it for user "5f1c" in groups ["system:authenticated"]`},
		"nobody":    {201, fmt.Sprintf(review, "system:anonymous"), token.Wrong, "does not know whose token it is"},
		"refused":   {401, `{"kind":"Status","message":"Unauthorized"}`, token.Wrong, "refuses the token (401)"},
		"old":       {404, `{"kind":"Status"}`, token.Warning, "older than Kubernetes 1.28"},
		"forbidden": {403, `{"kind":"Status","message":"no\u001b[31m"}`, token.Wrong, "answers with HTTP status 403: no"},
		"page":      {200, "<html>", token.Wrong, "answers with HTTP status 200"},
		"no JSON":   {201, "<html>", token.Wrong, "answers with HTTP status 201"},
		"redirect":  {307, elsewhere.URL, token.Wrong, "answers with HTTP status 307"},
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
			found := askServer(t.Context(), cluster, "the-token").Presentable()
			if found.Status != test.want || !strings.Contains(found.Text, test.says) || strings.ContainsAny(found.Text, "\x1b") || strings.Contains(fmt.Sprint(found), "the-token") {
				t.Errorf("%+v", found)
			}
			delete(cluster, "certificate-authority-data")
			if found := askServer(t.Context(), cluster, "the-token"); found.Status != token.Wrong || !strings.Contains(found.Text, "certificate") {
				t.Errorf("without its CA: %+v", found)
			}
			cluster["insecure-skip-tls-verify"] = true
			if found := askServer(t.Context(), cluster, "the-token"); found.Status != test.want {
				t.Errorf("insecure: %+v", found)
			}
		})
	}
}

// What a kubeconfig may say that no token can be sent to.
func TestAskServerRefuses(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Errorf("asked: %q", r.Header) }))
	defer api.Close()
	closed := &url.URL{Scheme: "https", Host: api.Listener.Addr().String()} // no TLS there
	for name, test := range map[string]struct {
		cluster map[string]any
		bearer  string
		want    token.Status
	}{
		"no cluster":    {nil, "the-token", token.Wrong},
		"no token":      {map[string]any{"server": closed.String()}, "", token.Skipped},
		"no server":     {map[string]any{}, "the-token", token.Wrong},
		"no TLS":        {map[string]any{"server": api.URL}, "the-token", token.Wrong},
		"a user":        {map[string]any{"server": "https://user:hidden@" + closed.Host}, "the-token", token.Wrong},
		"no CA":         {map[string]any{"server": closed.String(), "certificate-authority-data": "eA=="}, "the-token", token.Wrong},
		"no proxy":      {map[string]any{"server": closed.String(), "proxy-url": ":"}, "the-token", token.Wrong},
		"not listening": {map[string]any{"server": closed.String(), "insecure-skip-tls-verify": true}, "the-token", token.Wrong},
	} {
		t.Run(name, func(t *testing.T) {
			found := askServer(t.Context(), test.cluster, test.bearer)
			if found.Status != test.want || found.Status == token.Wrong && found.Text == "" || strings.Contains(fmt.Sprint(found), "hidden") || strings.Contains(fmt.Sprint(found), "the-token") {
				t.Errorf("%+v", found)
			}
		})
	}
}
