package cli

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Whoever is asked answers with a redirect: what was sent there is sent nowhere else, and no second
// time.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	locations := []string{
		"https://evil.example/", "http://login.microsoftonline.com/", "https://login.microsoftonline.com/elsewhere", "/elsewhere", "//evil.example/", "https://login.microsoftonline.com:444/",
		"", "javascript:alert(1)", "https://" + hostileSecret + ".evil.example/",
	}
	imds := "http://127.0.0.1:1" // through the proxy nobody asks it
	ways := map[string]struct {
		on     func(*http.Request) bool // which request is redirected
		host   string
		secret string
		env    []string
		args   []string
	}{
		"GitHub": {func(r *http.Request) bool { return r.Host == "pipelines.example" }, "pipelines.example", hostileSecret[:4] + "request-token",
			[]string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://pipelines.example/token?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + hostileSecret[:4] + "request-token"}, []string{"--login", "workloadidentity"}},
		"Azure Pipelines": {func(r *http.Request) bool { return r.Host == "dev.azure.example" }, "dev.azure.example", hostileSecret[:4] + "system-token",
			[]string{"SYSTEM_OIDCREQUESTURI=https://dev.azure.example/oidc", "SYSTEM_ACCESSTOKEN=" + hostileSecret[:4] + "system-token"},
			[]string{"--login", "azurepipelines", "--azure-pipelines-service-connection-id", serviceConnection.ID}},
		"token proxy": {func(r *http.Request) bool { return r.Host == microsoftHost || r.Host == "proxy.example" }, microsoftHost, sampleAssertion,
			[]string{"AZURE_KUBERNETES_TOKEN_PROXY=https://proxy.example/", "AZURE_POD_IDENTITY_AUTHORITY_HOST=" + imds}, secretLogins(t)["workloadidentity"].args},
		"user realm": {func(r *http.Request) bool { return r.Method == http.MethodGet }, "", hostileSecret, nil, secretLogins(t)["ropc"].args},
	}
	for method, login := range secretLogins(t) {
		ways[method] = struct {
			on     func(*http.Request) bool
			host   string
			secret string
			env    []string
			args   []string
		}{func(r *http.Request) bool { return r.Method == http.MethodPost }, microsoftHost, login.secret, nil, login.args}
	}
	for name, way := range ways {
		way.args = slices.DeleteFunc(slices.Clone(way.args), func(s string) bool { return s == "" })
		for i, status := range []int{301, 302, 303, 307, 308, 300, 304} {
			for j, location := range locations {
				if (i+j+len(name))%len(locations) != 0 || (i+len(name))%min(sampleEvery, 3) != 0 { // each status and each location in some way
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%q", name, status, location), func(t *testing.T) {
					t.Parallel()
					e := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
						if !way.on(r) {
							serveLikeEntra(w, r)
							return
						}
						w.Header()["Location"] = []string{location}
						w.WriteHeader(status)
					})
					got := runProgram(t, e.env(way.env...), getTokenArgs(way.args...)...)
					got.wantErrorLines(t)
					wantPlainText(t, got)
					if strings.Contains(got.stderr, way.secret) {
						t.Errorf("it said the secret: %s", got.stderr)
					}
					if !strings.Contains(got.stderr, fmt.Sprintf("redirect (%d)", status)) {
						t.Errorf("it does not say why: %s", got.stderr)
					}
					want := 1
					if way.host == "" {
						want = 0
					}
					if n := e.wantSecretOnlyAt(t, way.secret, way.host); n != want {
						t.Errorf("it was sent %d times", n)
					}
				})
			}
		}
	}
}

// What a server says of other ways to it, and what it would have shown again, is not heeded.
func TestResponsesNamingOtherHosts(t *testing.T) {
	t.Parallel()
	asked := 0
	e := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Set-Cookie": "session=1; Path=/", "Alt-Svc": `h3="evil.example:443"; ma=86400, h2="evil.example:443"`, "Refresh": "0; url=https://evil.example/", "Content-Location": "https://evil.example/",
			"Link": `<https://evil.example/>; rel="canonical"`, "WWW-Authenticate": "Basic realm=x", "Retry-After-Ms": "1", "X-Ms-Cpim-Sso": "evil", "Strict-Transport-Security": "max-age=0", "Proxy-Authenticate": "Basic realm=x",
		} {
			w.Header().Set(name, value)
		}
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		serveToken(w, r)
	})
	login := secretLogins(t)["workloadidentity"]
	if got := runProgram(t, e.env(), getTokenArgs(login.args...)...); got.exit != 0 {
		t.Errorf("%+v", got)
	}
	if n := e.wantSecretOnlyAt(t, login.secret, microsoftHost); n != 2 {
		t.Errorf("it was sent %d times", n)
	}
	for _, l := range e.requests() {
		if l.header.Get("Cookie") != "" || l.header.Get("Authorization") != "" || l.header.Get("Referer") != "" {
			t.Errorf("%v", l.header)
		}
	}
	for _, host := range e.dialed {
		if host != microsoftHost+":443" {
			t.Errorf("%s was asked for", host)
		}
	}
}

// An answer repeats what it was sent, in whatever form: nobody sees it, at -v neither.
func TestResponsesEchoingSecrets(t *testing.T) {
	t.Parallel()
	forms := map[string]func(string) string{
		"as it is": func(s string) string { return s }, "form": url.QueryEscape, "path": url.PathEscape,
		"base64":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64url": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"quoted":    func(s string) string { return `"` + s + `"` },
		"Go":        strconv.Quote,
	}
	places := map[string]func(w http.ResponseWriter, echo string){
		"refusal": func(w http.ResponseWriter, echo string) {
			w.WriteHeader(http.StatusBadRequest)
			json.NewEncoder(w).Encode(map[string]any{"error": "invalid_client", "error_description": "AADSTS70021: no match for " + echo + " Trace ID: x", "error_codes": []int{70021}, "correlation_id": echo})
		},
		"error": func(w http.ResponseWriter, echo string) {
			w.WriteHeader(http.StatusBadRequest)
			json.NewEncoder(w).Encode(map[string]any{"error": echo, "error_description": echo})
		},
		"page": func(w http.ResponseWriter, echo string) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<h1>Forbidden</h1>%s", echo)
		},
		"granted": func(w http.ResponseWriter, echo string) {
			json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer " + echo, "expires_in": echo, "access_token": "a " + echo})
		},
		"no JSON": func(w http.ResponseWriter, echo string) { fmt.Fprintf(w, "{%s", echo) },
		"redirect": func(w http.ResponseWriter, echo string) {
			w.Header()["Location"] = []string{"https://" + echo + ".evil.example/" + echo}
			w.WriteHeader(302)
		},
		"broken header": func(w http.ResponseWriter, echo string) {
			w.Header().Set("X-Ms-Request-Id", "\x1b]52;c;"+echo+"\x07")
			w.WriteHeader(http.StatusBadRequest)
		},
		"headers": func(w http.ResponseWriter, echo string) {
			w.Header().Set("Retry-After", url.QueryEscape(echo))
			w.Header().Set("X-Ms-Request-Id", url.QueryEscape(echo))
			w.WriteHeader(http.StatusTooManyRequests)
		},
	}
	for method, login := range secretLogins(t) {
		for form, write := range forms {
			for place, answer := range places {
				if method == "pop" || (len(method)+len(form)+len(place))%(3*min(sampleEvery, 3)) != 0 { // a third of them
					continue
				}
				t.Run(method+"/"+form+"/"+place, func(t *testing.T) {
					t.Parallel()
					e := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
						if r.Method != http.MethodPost {
							serveLikeEntra(w, r)
							return
						}
						answer(w, write(login.secret))
					})
					got := runProgram(t, e.env(), getTokenArgs(append(login.args, "-v", "--timeout=5s")...)...)
					if got.exit != 1 || got.stdout != "" {
						t.Errorf("%+v", got)
					}
					wantPlainText(t, got)
					for _, piece := range []string{login.secret, url.QueryEscape(login.secret), url.PathEscape(login.secret), write(login.secret), login.secret[:len(login.secret)/2]} {
						if strings.Contains(got.stderr, piece) {
							t.Errorf("%q is in %s", piece, got.stderr)
						}
					}
				})
			}
		}
	}
}
