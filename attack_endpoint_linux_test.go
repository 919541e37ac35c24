package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token"
)

// hostileSecret is what must not get around: of no shape that would be recognized.
const hostileSecret = "open sesame, said Ali+Baba/40"

// logins are the ways in which something secret is sent to Entra ID.
func logins(t *testing.T) map[string]struct {
	secret string
	args   []string
} {
	t.Helper()
	federated := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(federated, []byte(benchAssertion), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]struct {
		secret string
		args   []string
	}{
		"workloadidentity": {benchAssertion, []string{"--login", "workloadidentity", "--federated-token-file", federated}},
		"spn":              {hostileSecret, []string{"--login", "spn", "--client-secret", hostileSecret}},
		"ropc":             {hostileSecret, []string{"--login", "ropc", "--username", alice, "--password", hostileSecret}},
		"pop":              {benchAssertion, []string{"--login", "workloadidentity", "--federated-token-file", federated, "--pop-enabled", "--pop-claims", "u=/a"}},
	}
}

func getToken(args ...string) []string {
	return append([]string{"get-token", "--tenant-id", tenant, "--client-id", client}, args...)
}

// honest answers as Entra ID does, at all hosts: it knows no authority but Microsoft's, and each host's documents name that host.
func honest(w http.ResponseWriter, r *http.Request) {
	base := "https://" + r.Host + "/" + tenant
	switch {
	case r.URL.Path == "/common/discovery/instance":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_instance","error_description":"AADSTS50049: Unknown or invalid instance.","error_codes":[50049]}`)
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		configuration(w, base+"/oauth2/v2.0/token", base+"/oauth2/v2.0/authorize", base+"/v2.0")
	case strings.Contains(r.URL.Path, "/UserRealm/"):
		fmt.Fprint(w, `{"account_type":"Managed","domain_name":"contoso.example","cloud_instance_name":"microsoftonline.com","cloud_audience_urn":"urn:federation:MicrosoftOnline"}`)
	case r.Method == http.MethodPost:
		grant(w, r)
	default:
		http.NotFound(w, r)
	}
}

func grant(w http.ResponseWriter, r *http.Request) {
	kind := "Bearer"
	if r.FormValue("token_type") == "pop" {
		kind = "pop"
	}
	fmt.Fprintf(w, `{"token_type":%q,"expires_in":3599,"access_token":"granted.at.%s"}`, kind, strings.ReplaceAll(r.Host, ":", "-"))
}

func configuration(w http.ResponseWriter, tokenEndpoint, authorize, issuer string) {
	json.NewEncoder(w).Encode(map[string]string{
		"token_endpoint": tokenEndpoint, "authorization_endpoint": authorize, "device_authorization_endpoint": tokenEndpoint, "issuer": issuer,
	})
}

const microsoft = "login.microsoftonline.com"

// Addresses that look like Microsoft's are refused, or are Microsoft's after all, or Microsoft is asked whether it knows them, and says no.
func TestAuthorityLookAlikes(t *testing.T) {
	t.Parallel()
	for _, authority := range []string{
		"https://login.microsoftonline.com.evil.example/", "https://login.microsoftonline.com-evil.example", "https://evil.example/login.microsoftonline.com",
		"https://login.microsoftonline.com@evil.example/", "https://login.microsoftonline.com:443@evil.example/", "https://login.microsoftonline.com%40evil.example/",
		"https://evil.example?login.microsoftonline.com", "https://evil.example#@login.microsoftonline.com/", "https://evil.example/?@login.microsoftonline.com/",
		`https://login.microsoftonline.com\@evil.example/`, `https://evil.example\.login.microsoftonline.com/`, "https:\\\\evil.example\\", "https:/evil.example/", "https:evil.example",
		"//evil.example/", "evil.example", "https://", "https:///evil.example/", "https://.login.microsoftonline.com/", "https://login.microsoftonline.com.", "https://login..microsoftonline.com/",
		"https://login.microsoftonline.com:444/", "https://login.microsoftonline.com:0443/", "https://login.microsoftonline.com:/", "https://login.microsoftonline.com:99999/", "https://login.microsoftonline.com:-1/",
		"https://login.micrоsoftonline.com/", "https://lоgin.microsoftonline.com/", "https://login。microsoftonline。com/", "https://login.microsoftonline.com。evil.example/", "https://ｌogin.microsoftonline.com/",
		"https://xn--login-8qf.microsoftonline.com/", "https://login\u200b.microsoftonline.com/", "https://login.microsoftonline.com\u202e/", "https://login.microsoftonline.com\u2044evil.example/",
		"https://login%2emicrosoftonline.com/", "https://login.microsoftonline%00.com/", "https://login.microsoftonline.com%2f@evil.example/", "https://%6cogin.microsoftonline.com/",
		"https://[::1]/", "https://[fe80::1%25eth0]/", "https://[fe80::1%25login.microsoftonline.com]/", "https://[login.microsoftonline.com]/", "https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/",
		"http://login.microsoftonline.com/", "HTTP://login.microsoftonline.com/", "ftp://login.microsoftonline.com/", "file:///etc/passwd", "javascript://login.microsoftonline.com/", "https+unix://login.microsoftonline.com/",
		"https://login.microsoftonline.com /", " https://login.microsoftonline.com/", "https://login.microsoftonline.com\t/", "https://login.microsoftonline.com\r\nHost: evil.example/", "https://login.microsoftonline.com\n",
		"https://login.microsoftonline.com/../evil.example", "https://login.microsoftonline.com//evil.example/", "https://login.microsoftonline.com/..%2f", "https://login.microsoftonline.us.com/", "https://loginmicrosoftonline.com/",
		"https://login.microsoft0nline.com/", "https://login.microsoftonline.co/", "https://localhost/", "https://metadata.google.internal/", "https://169.254.169.254/", "https://" + strings.Repeat("a.", 5000) + "example/",
	} {
		t.Run(authority[:min(len(authority), 80)], func(t *testing.T) {
			t.Parallel()
			if err := (token.Request{AuthorityHost: authority}).CheckValues(); err != nil {
				return // before anything is sent
			}
			e := newEverywhere(t, honest)
			login := logins(t)["workloadidentity"]
			got := attempt(t, e.environment("AZURE_AUTHORITY_HOST="+authority), getToken(login.args...)...)
			got.wantRefused(t)
			wantClean(t, got)
			if n := e.wantOnlyAt(t, login.secret); n != 0 {
				t.Errorf("the assertion was sent %d times", n)
			}
			for _, l := range e.letters() {
				if l.host != microsoft || l.method != http.MethodGet || !strings.HasPrefix(l.path, "/common/discovery/instance?") {
					t.Errorf("%s %s %s was sent", l.method, l.host, l.path)
				}
			}
		})
	}
	for _, authority := range []string{
		"https://login.microsoftonline.com", "https://login.microsoftonline.com//", "https://LOGIN.MICROSOFTONLINE.COM/", "HTTPS://login.microsoftonline.com:443/",
	} {
		t.Run("good "+authority, func(t *testing.T) {
			t.Parallel()
			e := newEverywhere(t, honest)
			login := logins(t)["workloadidentity"]
			if got := attempt(t, e.environment("AZURE_AUTHORITY_HOST="+authority), getToken(login.args...)...); got.exit != 0 {
				t.Errorf("%+v", got)
			}
			if n := e.wantOnlyAt(t, login.secret, microsoft); n != 1 || len(e.letters()) != 1 {
				t.Errorf("the assertion was sent %d times, in %d requests", n, len(e.letters()))
			}
		})
	}
}

// A trusted authority's discovery document, or the one that Microsoft names for it, has its token endpoint elsewhere.
func TestDiscoveryThatPointsElsewhere(t *testing.T) {
	t.Parallel()
	const home = "login.private.example"
	endpoints := map[string]bool{ // whether it is at home after all
		"https://evil.example/token":                                  false,
		"http://" + home + "/token":                                   false,
		"https://" + home + ":444/token":                              false,
		"https://" + home + "@evil.example/token":                     false,
		"https://user:password@evil.example/token":                    false,
		"https://" + home + ".evil.example/token":                     false,
		"https://evil" + home + "/token":                              false,
		"https://token." + home + "/token":                            false,
		"https://" + home + "./token":                                 false,
		"https://lоgin.private.example/token":                         false,
		"https://login。private.example/token":                         false,
		"https://xn--lgin-jbg.private.example/token":                  false,
		`https://evil.example\@` + home + `/token`:                    false,
		"https://evil.example#@" + home + "/token":                    false,
		"https://" + home + "%2f@evil.example/token":                  false,
		"//evil.example/token":                                        false,
		"https://login.microsoftonline.com/" + tenant + "/token":      false,
		"ftp://" + home + "/token":                                    false,
		"":                                                            false,
		"token":                                                       false,
		"https://evil.example/" + tenant + "/oauth2/v2.0/token":       false,
		"https://LOGIN.private.example/" + tenant + "/other/token":    true,
		"https://user:password@" + home + "/" + tenant + "/token":     true,
		"https://" + home + "/" + tenant + "/oauth2/v2.0/token?q=%41": true,
	}
	elsewhere := func(endpoint string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
				configuration(w, endpoint, endpoint, "https://"+home+"/"+tenant+"/v2.0")
			case r.URL.Path == "/common/discovery/instance": // Microsoft knows it, and names a document of the attacker's
				json.NewEncoder(w).Encode(map[string]any{
					"tenant_discovery_endpoint": "https://evil.example/" + tenant + "/v2.0/.well-known/openid-configuration", "api-version": "1.1",
					"metadata": []map[string]any{{"preferred_network": "evil.example", "preferred_cache": home, "aliases": []string{home, "evil.example"}}},
				})
			default:
				honest(w, r)
			}
		}
	}
	for method, login := range logins(t) {
		for endpoint, good := range endpoints {
			for _, trust := range []bool{true, false} {
				if !trust && len(endpoint)%4 != 0 || len(endpoint)%min(oneIn, 3) != 0 || method != "workloadidentity" && !(strings.HasSuffix(endpoint, "oauth2/v2.0/token") || good) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%v", method, endpoint, trust), func(t *testing.T) {
					t.Parallel()
					e := newEverywhere(t, elsewhere(endpoint))
					got := attempt(t, e.environment(), getToken(append(login.args, "--authority-host", "https://"+home, fmt.Sprintf("--disable-instance-discovery=%v", trust))...)...)
					if good {
						if n := e.wantOnlyAt(t, login.secret, home, strings.ToUpper(home[:5])+home[5:]); got.exit != 0 && n > 0 || got.exit == 0 && n != 1 {
							t.Errorf("it was sent %d times: %+v", n, got)
						}
						return
					}
					got.wantRefused(t)
					wantClean(t, got)
					if n := e.wantOnlyAt(t, login.secret); n != 0 {
						t.Errorf("it was sent %d times", n)
					}
				})
			}
		}
	}
}

// A person is not sent to a sign-in page that is elsewhere than the authority, nor is anything else opened.
func TestSignInPageElsewhere(t *testing.T) {
	t.Parallel()
	const home = "login.private.example"
	browser := filepath.Join(t.TempDir(), "browser")
	if err := os.WriteFile(browser, []byte("#!/bin/sh\necho \"$@\" >>\"$OPENED\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{
		"https://evil.example/authorize", "http://" + home + "/authorize", "https://" + home + "@evil.example/authorize", "file:///etc/passwd", "--new-window", "javascript:alert(1)", "https://" + home + ":444/authorize", "",
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			e := newEverywhere(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
					configuration(w, "https://"+home+"/token", page, "https://"+home+"/"+tenant+"/v2.0")
					return
				}
				honest(w, r)
			})
			opened := filepath.Join(t.TempDir(), "opened")
			got := attempt(t, e.environment("BROWSER="+browser, "OPENED="+opened, `KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":true}}`),
				getToken("--login", "interactive", "--authority-host", "https://"+home, "--disable-instance-discovery", "--timeout", "3s")...)
			if said, err := os.ReadFile(opened); err == nil {
				t.Errorf("the browser was given %s", said)
			}
			got.wantRefused(t)
			wantClean(t, got)
		})
	}
}

// Whoever is asked answers with a redirect: what was sent there is sent nowhere else, and no second time.
func TestRedirects(t *testing.T) {
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
		"token proxy": {func(r *http.Request) bool { return r.Host == microsoft || r.Host == "proxy.example" }, microsoft, benchAssertion,
			[]string{"AZURE_KUBERNETES_TOKEN_PROXY=https://proxy.example/", "AZURE_POD_IDENTITY_AUTHORITY_HOST=" + imds}, logins(t)["workloadidentity"].args},
		"user realm": {func(r *http.Request) bool { return r.Method == http.MethodGet }, "", hostileSecret, nil, logins(t)["ropc"].args},
	}
	for method, login := range logins(t) {
		ways[method] = struct {
			on     func(*http.Request) bool
			host   string
			secret string
			env    []string
			args   []string
		}{func(r *http.Request) bool { return r.Method == http.MethodPost }, microsoft, login.secret, nil, login.args}
	}
	for name, way := range ways {
		way.args = slices.DeleteFunc(slices.Clone(way.args), func(s string) bool { return s == "" })
		for i, status := range []int{301, 302, 303, 307, 308, 300, 304} {
			for j, location := range locations {
				if (i+j+len(name))%len(locations) != 0 || (i+len(name))%min(oneIn, 3) != 0 { // each status and each location in some way
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%q", name, status, location), func(t *testing.T) {
					t.Parallel()
					e := newEverywhere(t, func(w http.ResponseWriter, r *http.Request) {
						if !way.on(r) {
							honest(w, r)
							return
						}
						w.Header()["Location"] = []string{location}
						w.WriteHeader(status)
					})
					got := attempt(t, e.environment(way.env...), getToken(way.args...)...)
					got.wantRefused(t)
					wantClean(t, got)
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
					if n := e.wantOnlyAt(t, way.secret, way.host); n != want {
						t.Errorf("it was sent %d times", n)
					}
				})
			}
		}
	}
}

// What a server says of other ways to it, and what it would have shown again, is not heeded.
func TestAnswersThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	asked := 0
	e := newEverywhere(t, func(w http.ResponseWriter, r *http.Request) {
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
		grant(w, r)
	})
	login := logins(t)["workloadidentity"]
	if got := attempt(t, e.environment(), getToken(login.args...)...); got.exit != 0 {
		t.Errorf("%+v", got)
	}
	if n := e.wantOnlyAt(t, login.secret, microsoft); n != 2 {
		t.Errorf("it was sent %d times", n)
	}
	for _, l := range e.letters() {
		if l.header.Get("Cookie") != "" || l.header.Get("Authorization") != "" || l.header.Get("Referer") != "" {
			t.Errorf("%v", l.header)
		}
	}
	for _, host := range e.dial {
		if host != microsoft+":443" {
			t.Errorf("%s was asked for", host)
		}
	}
}

// An answer repeats what it was sent, in whatever form: nobody sees it, at -v neither.
func TestAnswersThatEcho(t *testing.T) {
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
	for method, login := range logins(t) {
		for form, write := range forms {
			for place, answer := range places {
				if method == "pop" || (len(method)+len(form)+len(place))%(3*min(oneIn, 3)) != 0 { // a third of them
					continue
				}
				t.Run(method+"/"+form+"/"+place, func(t *testing.T) {
					t.Parallel()
					e := newEverywhere(t, func(w http.ResponseWriter, r *http.Request) {
						if r.Method != http.MethodPost {
							honest(w, r)
							return
						}
						answer(w, write(login.secret))
					})
					got := attempt(t, e.environment(), getToken(append(login.args, "-v", "--timeout=5s")...)...)
					if got.exit != 1 || got.stdout != "" {
						t.Errorf("%+v", got)
					}
					wantClean(t, got)
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

// A region is a part of a host name, and a variable that anybody may have set.
func TestRegionThatIsNone(t *testing.T) {
	t.Parallel()
	for _, region := range []string{
		"evil.example/", "evil.example#", "evil.example?", "evil.example:443/", "a@evil.example/", `evil.example\`, "..", "westeurope.evil.example/", "\x1b[31m", "%2f", "WestEurope\u202e", strings.Repeat("a", 300),
	} {
		t.Run(region[:min(len(region), 30)], func(t *testing.T) {
			t.Parallel()
			e := newEverywhere(t, honest)
			login := logins(t)["workloadidentity"]
			got := attempt(t, e.environment("AZURE_REGIONAL_AUTHORITY_NAME="+region), getToken(append(login.args, "--timeout=10s")...)...)
			wantClean(t, got)
			for _, l := range e.letters() {
				if l.method == http.MethodPost && !strings.HasSuffix(l.host, ".login.microsoft.com") && l.host != microsoft {
					t.Errorf("%s %s", l.method, l.host)
				}
			}
		})
	}
}

// The token proxy's address is refused where it is not plainly one.
func TestTokenProxyThatIsNone(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"http://proxy.example/", "https://user@proxy.example/", "https://proxy.example/?to=evil", "https://proxy.example/#x", "proxy.example", "https://", "file:///proxy", "https://proxy.example\\@evil.example/", "https://proxy.example\n",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			e := newEverywhere(t, honest)
			login := logins(t)["workloadidentity"]
			got := attempt(t, e.environment("AZURE_KUBERNETES_TOKEN_PROXY="+address), getToken(login.args...)...)
			got.wantRefused(t)
			wantClean(t, got)
			if len(e.letters()) != 0 {
				t.Errorf("%+v", e.letters())
			}
		})
	}
}

// No secret is sent to anybody whose certificate is not right, who speaks an old TLS, or none.
func TestNoSecretWithoutTLS(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, e *everywhere){
		"old TLS": func(_ *testing.T, e *everywhere) { e.secure.MaxVersion = 0x0302 },
		"weak key exchange": func(_ *testing.T, e *everywhere) {
			e.secure.MaxVersion, e.secure.CipherSuites = 0x0303, []uint16{0x0005, 0x000a} // RC4, 3DES
		},
		"other name": func(_ *testing.T, e *everywhere) { e.secure.GetCertificate = otherName(e) },
		"unknown CA": func(t *testing.T, e *everywhere) { e.ca = newEverywhere(t, honest).ca },
		"no TLS":     func(_ *testing.T, e *everywhere) { e.plain = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEverywhere(t, honest)
			spoil(t, e)
			login := logins(t)["workloadidentity"]
			got := attempt(t, e.environment(), getToken(login.args...)...)
			got.wantRefused(t)
			wantClean(t, got)
			if n := len(e.letters()); n != 0 {
				t.Errorf("%+v", e.letters())
			}
		})
	}
}
