package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token"
)

// hostileSecret is what must not get around: of no shape that would be recognized.
const hostileSecret = "open sesame, said Ali+Baba/40"

// secretLogin is a login's secret and its flags.
type secretLogin struct {
	secret string
	args   []string
}

// secretLogins are the ways in which something secret is sent to Entra ID.
func secretLogins(t *testing.T) map[string]secretLogin {
	t.Helper()
	federated := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(federated, []byte(sampleAssertion), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]secretLogin{
		"workloadidentity": {sampleAssertion, []string{"--login", "workloadidentity", "--federated-token-file", federated}},
		"spn":              {hostileSecret, []string{"--login", "spn", "--client-secret", hostileSecret}},
		"ropc":             {hostileSecret, []string{"--login", "ropc", "--username", alice, "--password", hostileSecret}},
		"pop":              {sampleAssertion, []string{"--login", "workloadidentity", "--federated-token-file", federated, "--pop-enabled", "--pop-claims", "u=/a"}},
	}
}

func getTokenArgs(args ...string) []string {
	return append([]string{"get-token", "--tenant-id", tenant, "--client-id", client}, args...)
}

// serveLikeEntra answers as Entra ID does, at all hosts: it knows no authority but Microsoft's, and
// each host's documents name that host.
func serveLikeEntra(w http.ResponseWriter, r *http.Request) {
	base := "https://" + r.Host + "/" + tenant
	switch {
	case r.URL.Path == "/common/discovery/instance":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_instance","error_description":"AADSTS50049: Unknown or invalid instance.","error_codes":[50049]}`)
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		serveDiscovery(w, base+"/oauth2/v2.0/token", base+"/oauth2/v2.0/authorize", base+"/v2.0")
	case strings.Contains(r.URL.Path, "/UserRealm/"):
		fmt.Fprint(w, `{"account_type":"Managed","domain_name":"contoso.example","cloud_instance_name":"microsoftonline.com","cloud_audience_urn":"urn:federation:MicrosoftOnline"}`)
	case r.Method == http.MethodPost:
		serveToken(w, r)
	default:
		http.NotFound(w, r)
	}
}

func serveToken(w http.ResponseWriter, r *http.Request) {
	kind := "Bearer"
	if r.FormValue("token_type") == "pop" {
		kind = "pop"
	}
	fmt.Fprintf(w, `{"token_type":%q,"expires_in":3599,"access_token":"granted.at.%s"}`, kind, strings.ReplaceAll(r.Host, ":", "-"))
}

func serveDiscovery(w http.ResponseWriter, tokenEndpoint, authorize, issuer string) {
	json.NewEncoder(w).Encode(map[string]string{
		"token_endpoint": tokenEndpoint, "authorization_endpoint": authorize, "device_authorization_endpoint": tokenEndpoint, "issuer": issuer,
	})
}

const microsoftHost = "login.microsoftonline.com"

// Addresses that look like Microsoft's are refused, or are Microsoft's after all, or Microsoft is
// asked whether it knows them, and says no.
func TestLookalikeAuthorities(t *testing.T) {
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
			e := newHostileNetwork(t, serveLikeEntra)
			login := secretLogins(t)["workloadidentity"]
			got := runProgram(t, e.env("AZURE_AUTHORITY_HOST="+authority), getTokenArgs(login.args...)...)
			got.wantErrorLines(t)
			wantPlainText(t, got)
			if n := e.wantSecretOnlyAt(t, login.secret); n != 0 {
				t.Errorf("the assertion was sent %d times", n)
			}
			for _, l := range e.requests() {
				if l.host != microsoftHost || l.method != http.MethodGet || !strings.HasPrefix(l.path, "/common/discovery/instance?") {
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
			e := newHostileNetwork(t, serveLikeEntra)
			login := secretLogins(t)["workloadidentity"]
			if got := runProgram(t, e.env("AZURE_AUTHORITY_HOST="+authority), getTokenArgs(login.args...)...); got.exit != 0 {
				t.Errorf("%+v", got)
			}
			if n := e.wantSecretOnlyAt(t, login.secret, microsoftHost); n != 1 || len(e.requests()) != 1 {
				t.Errorf("the assertion was sent %d times, in %d requests", n, len(e.requests()))
			}
		})
	}
}

// A trusted authority's discovery document, or the one that Microsoft names for it, has its token
// endpoint elsewhere.
func TestDiscoveryNamingOtherHosts(t *testing.T) {
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
				serveDiscovery(w, endpoint, endpoint, "https://"+home+"/"+tenant+"/v2.0")
			case r.URL.Path == "/common/discovery/instance": // Microsoft knows it, and names a document of the attacker's
				json.NewEncoder(w).Encode(map[string]any{
					"tenant_discovery_endpoint": "https://evil.example/" + tenant + "/v2.0/.well-known/openid-configuration", "api-version": "1.1",
					"metadata": []map[string]any{{"preferred_network": "evil.example", "preferred_cache": home, "aliases": []string{home, "evil.example"}}},
				})
			default:
				serveLikeEntra(w, r)
			}
		}
	}
	for method, login := range secretLogins(t) {
		for endpoint, good := range endpoints {
			for _, trust := range []bool{true, false} {
				if !trust && len(endpoint)%4 != 0 || len(endpoint)%min(sampleEvery, 3) != 0 || method != "workloadidentity" && !(strings.HasSuffix(endpoint, "oauth2/v2.0/token") || good) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%v", method, endpoint, trust), func(t *testing.T) {
					t.Parallel()
					e := newHostileNetwork(t, elsewhere(endpoint))
					got := runProgram(t, e.env(), getTokenArgs(append(login.args, "--authority-host", "https://"+home, fmt.Sprintf("--disable-instance-discovery=%v", trust))...)...)
					if good {
						if n := e.wantSecretOnlyAt(t, login.secret, home, strings.ToUpper(home[:5])+home[5:]); got.exit != 0 && n > 0 || got.exit == 0 && n != 1 {
							t.Errorf("it was sent %d times: %+v", n, got)
						}
						return
					}
					got.wantErrorLines(t)
					wantPlainText(t, got)
					if n := e.wantSecretOnlyAt(t, login.secret); n != 0 {
						t.Errorf("it was sent %d times", n)
					}
				})
			}
		}
	}
}

// A person is not sent to a sign-in page that is elsewhere than the authority, nor is anything else
// opened.
func TestSignInPageOnOtherHostIsNotOpened(t *testing.T) {
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
			e := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
					serveDiscovery(w, "https://"+home+"/token", page, "https://"+home+"/"+tenant+"/v2.0")
					return
				}
				serveLikeEntra(w, r)
			})
			opened := filepath.Join(t.TempDir(), "opened")
			got := runProgram(t, e.env("BROWSER="+browser, "OPENED="+opened, `KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":true}}`),
				getTokenArgs("--login", "interactive", "--authority-host", "https://"+home, "--disable-instance-discovery", "--timeout", "3s")...)
			if said, err := os.ReadFile(opened); err == nil {
				t.Errorf("the browser was given %s", said)
			}
			got.wantErrorLines(t)
			wantPlainText(t, got)
		})
	}
}

// A region is a part of a host name, and a variable that anybody may have set.
func TestInvalidRegions(t *testing.T) {
	t.Parallel()
	for _, region := range []string{
		"evil.example/", "evil.example#", "evil.example?", "evil.example:443/", "a@evil.example/", `evil.example\`, "..", "westeurope.evil.example/", "\x1b[31m", "%2f", "WestEurope\u202e", strings.Repeat("a", 300),
	} {
		t.Run(region[:min(len(region), 30)], func(t *testing.T) {
			t.Parallel()
			e := newHostileNetwork(t, serveLikeEntra)
			login := secretLogins(t)["workloadidentity"]
			got := runProgram(t, e.env("AZURE_REGIONAL_AUTHORITY_NAME="+region), getTokenArgs(append(login.args, "--timeout=10s")...)...)
			wantPlainText(t, got)
			for _, l := range e.requests() {
				if l.method == http.MethodPost && !strings.HasSuffix(l.host, ".login.microsoft.com") && l.host != microsoftHost {
					t.Errorf("%s %s", l.method, l.host)
				}
			}
		})
	}
}

// The token proxy's address is refused where it is not plainly one.
func TestInvalidTokenProxies(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"http://proxy.example/", "https://user@proxy.example/", "https://proxy.example/?to=evil", "https://proxy.example/#x", "proxy.example", "https://", "file:///proxy", "https://proxy.example\\@evil.example/", "https://proxy.example\n",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			e := newHostileNetwork(t, serveLikeEntra)
			login := secretLogins(t)["workloadidentity"]
			got := runProgram(t, e.env("AZURE_KUBERNETES_TOKEN_PROXY="+address), getTokenArgs(login.args...)...)
			got.wantErrorLines(t)
			wantPlainText(t, got)
			if len(e.requests()) != 0 {
				t.Errorf("%+v", e.requests())
			}
		})
	}
}

// No secret is sent to anybody whose certificate is not right, who speaks an old TLS, or none.
func TestNoSecretWithoutTLS(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, e *hostileNetwork){
		"old TLS": func(_ *testing.T, e *hostileNetwork) { e.tlsConfig.MaxVersion = 0x0302 },
		"weak key exchange": func(_ *testing.T, e *hostileNetwork) {
			e.tlsConfig.MaxVersion, e.tlsConfig.CipherSuites = 0x0303, []uint16{0x0005, 0x000a} // RC4, 3DES
		},
		"other name": func(_ *testing.T, e *hostileNetwork) { e.tlsConfig.GetCertificate = wrongNameCertificate(e) },
		"unknown CA": func(t *testing.T, e *hostileNetwork) { e.ca = newHostileNetwork(t, serveLikeEntra).ca },
		"no TLS":     func(_ *testing.T, e *hostileNetwork) { e.plain = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newHostileNetwork(t, serveLikeEntra)
			spoil(t, e)
			login := secretLogins(t)["workloadidentity"]
			got := runProgram(t, e.env(), getTokenArgs(login.args...)...)
			got.wantErrorLines(t)
			wantPlainText(t, got)
			if n := len(e.requests()); n != 0 {
				t.Errorf("%+v", e.requests())
			}
		})
	}
}
