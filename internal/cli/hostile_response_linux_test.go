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

// redirectTarget is a server that a login sends a secret to.
type redirectTarget struct {
	matches func(*http.Request) bool // the requests to redirect
	host    string                   // that gets the secret; "": none does
	secret  string
	env     []string
	args    []string
}

func redirectTargets(t *testing.T) map[string]redirectTarget {
	t.Helper()
	isHost := func(hosts ...string) func(*http.Request) bool {
		return func(r *http.Request) bool { return slices.Contains(hosts, r.Host) }
	}
	isMethod := func(method string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Method == method }
	}
	const requestToken = "open" + "request-token"
	const systemToken = "open" + "system-token"
	targets := map[string]redirectTarget{
		"GitHub": {
			matches: isHost("pipelines.example"), host: "pipelines.example", secret: requestToken,
			env: []string{
				"ACTIONS_ID_TOKEN_REQUEST_URL=https://pipelines.example/token?v=1",
				"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + requestToken,
			},
			args: []string{"--login", "workloadidentity"},
		},
		"Azure Pipelines": {
			matches: isHost("dev.azure.example"), host: "dev.azure.example", secret: systemToken,
			env: []string{
				"SYSTEM_OIDCREQUESTURI=https://dev.azure.example/oidc",
				"SYSTEM_ACCESSTOKEN=" + systemToken,
			},
			args: []string{
				"--login", "azurepipelines",
				"--azure-pipelines-service-connection-id", serviceConnection.ID,
			},
		},
		"token proxy": {
			matches: isHost(microsoftHost, "proxy.example"), host: microsoftHost,
			secret: sampleAssertion,
			env: []string{
				"AZURE_KUBERNETES_TOKEN_PROXY=https://proxy.example/",
				"AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1",
			},
			args: secretLogins(t)["workloadidentity"].args,
		},
		"user realm": {
			matches: isMethod(http.MethodGet), secret: hostileSecret,
			args: secretLogins(t)["ropc"].args,
		},
	}
	for method, login := range secretLogins(t) {
		targets[method] = redirectTarget{
			matches: isMethod(http.MethodPost), host: microsoftHost,
			secret: login.secret, args: login.args,
		}
	}
	return targets
}

// TestRedirectsAreNotFollowed checks that a server which responds with a redirect gets no second
// request, and that no other host gets its secret.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	locations := []string{
		"https://evil.example/", "http://login.microsoftonline.com/",
		"https://login.microsoftonline.com/elsewhere", "/elsewhere", "//evil.example/",
		"https://login.microsoftonline.com:444/", "", "javascript:alert(1)",
		"https://" + hostileSecret + ".evil.example/",
	}
	for name, target := range redirectTargets(t) {
		for i, status := range []int{301, 302, 303, 307, 308, 300, 304} {
			for j, location := range locations {
				// Each status and each location is tried with some target.
				if (i+j+len(name))%len(locations) != 0 || (i+len(name))%min(sampleEvery, 3) != 0 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%q", name, status, location), func(t *testing.T) {
					t.Parallel()
					target.testRedirect(t, status, location)
				})
			}
		}
	}
}

func (target redirectTarget) testRedirect(t *testing.T, status int, location string) {
	network := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
		if !target.matches(r) {
			serveLikeEntra(w, r)
			return
		}
		w.Header()["Location"] = []string{location}
		w.WriteHeader(status)
	})
	got := runProgram(t, network.env(target.env...), getTokenArgs(target.args...)...)
	got.wantErrorLines(t)
	wantPlainText(t, got)
	if strings.Contains(got.stderr, target.secret) {
		t.Errorf("stderr has the secret: %s", got.stderr)
	}
	if !strings.Contains(got.stderr, fmt.Sprintf("redirect (%d)", status)) {
		t.Errorf("stderr does not name the redirect: %s", got.stderr)
	}
	want := 1
	if target.host == "" {
		want = 0
	}
	if n := network.wantSecretOnlyAt(t, target.secret, target.host); n != want {
		t.Errorf("the secret was sent %d times, want %d", n, want)
	}
}

// TestResponsesNamingOtherHosts checks that headers which name other hosts, or ask for cookies or
// credentials, have no effect.
func TestResponsesNamingOtherHosts(t *testing.T) {
	t.Parallel()
	requests := 0
	network := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Alt-Svc":                   `h3="evil.example:443"; ma=86400, h2="evil.example:443"`,
			"Content-Location":          "https://evil.example/",
			"Link":                      `<https://evil.example/>; rel="canonical"`,
			"Proxy-Authenticate":        "Basic realm=x",
			"Refresh":                   "0; url=https://evil.example/",
			"Retry-After-Ms":            "1",
			"Set-Cookie":                "session=1; Path=/",
			"Strict-Transport-Security": "max-age=0",
			"WWW-Authenticate":          "Basic realm=x",
			"X-Ms-Cpim-Sso":             "evil",
		} {
			w.Header().Set(name, value)
		}
		if requests++; requests == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		serveToken(w, r)
	})
	login := secretLogins(t)["workloadidentity"]
	if got := runProgram(t, network.env(), getTokenArgs(login.args...)...); got.exit != 0 {
		t.Errorf("%+v", got)
	}
	if n := network.wantSecretOnlyAt(t, login.secret, microsoftHost); n != 2 {
		t.Errorf("the assertion was sent %d times", n)
	}
	for _, r := range network.requests() {
		for _, name := range []string{"Cookie", "Authorization", "Referer"} {
			if r.header.Get(name) != "" {
				t.Errorf("%v", r.header)
			}
		}
	}
	for _, host := range network.dialed {
		if host != microsoftHost+":443" {
			t.Errorf("connected to %s", host)
		}
	}
}

// echoEncodings are the ways in which a response may encode a secret.
var echoEncodings = map[string]func(string) string{
	"verbatim":  func(s string) string { return s },
	"form":      url.QueryEscape,
	"path":      url.PathEscape,
	"base64":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64url": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"quoted":    func(s string) string { return `"` + s + `"` },
	"Go":        strconv.Quote,
}

// echoResponses are responses that repeat a text.
var echoResponses = map[string]func(w http.ResponseWriter, echo string){
	"refusal": func(w http.ResponseWriter, echo string) {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]any{
			"error":             "invalid_client",
			"error_description": "AADSTS70021: no match for " + echo + " Trace ID: x",
			"error_codes":       []int{70021},
			"correlation_id":    echo,
		})
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
		json.NewEncoder(w).Encode(map[string]any{
			"token_type": "Bearer " + echo, "expires_in": echo, "access_token": "a " + echo,
		})
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

// TestResponsesEchoingSecrets checks that a secret which a response repeats is not printed, not
// even with -v. It tries a third of the combinations.
func TestResponsesEchoingSecrets(t *testing.T) {
	t.Parallel()
	for method, login := range secretLogins(t) {
		for encoding, encode := range echoEncodings {
			for kind, respond := range echoResponses {
				sample := len(method) + len(encoding) + len(kind)
				if method == "pop" || sample%(3*min(sampleEvery, 3)) != 0 {
					continue
				}
				t.Run(method+"/"+encoding+"/"+kind, func(t *testing.T) {
					t.Parallel()
					login.testEcho(t, encode(login.secret), respond)
				})
			}
		}
	}
}

func (login secretLogin) testEcho(
	t *testing.T, echo string, respond func(w http.ResponseWriter, echo string),
) {
	network := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			serveLikeEntra(w, r)
			return
		}
		respond(w, echo)
	})
	args := getTokenArgs(append(login.args, "-v", "--timeout=5s")...)
	got := runProgram(t, network.env(), args...)
	if got.exit != 1 || got.stdout != "" {
		t.Errorf("%+v", got)
	}
	wantPlainText(t, got)
	for _, form := range []string{
		login.secret, url.QueryEscape(login.secret), url.PathEscape(login.secret), echo,
		login.secret[:len(login.secret)/2],
	} {
		if strings.Contains(got.stderr, form) {
			t.Errorf("%q is in %s", form, got.stderr)
		}
	}
}
