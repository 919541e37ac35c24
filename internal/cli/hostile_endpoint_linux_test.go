package cli

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token"
)

// hostileSecret is a secret in a form that redaction cannot recognize.
const hostileSecret = "open sesame, said Ali+Baba/40"

// secretLogin is a login that sends a secret to Entra ID.
type secretLogin struct {
	secret string
	args   []string
}

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

const (
	unknownInstance = `{"error":"invalid_instance",` +
		`"error_description":"AADSTS50049: Unknown or invalid instance.","error_codes":[50049]}`
	managedRealm = `{"account_type":"Managed","domain_name":"contoso.example",` +
		`"cloud_instance_name":"microsoftonline.com",` +
		`"cloud_audience_urn":"urn:federation:MicrosoftOnline"}`
)

// serveLikeEntra responds as Entra ID does, on all hosts: it knows no authorities but Microsoft's,
// and the discovery document of each host names that host.
func serveLikeEntra(w http.ResponseWriter, r *http.Request) {
	base := "https://" + r.Host + "/" + tenant
	switch {
	case r.URL.Path == "/common/discovery/instance":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, unknownInstance)
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		serveDiscovery(w, base+"/oauth2/v2.0/token", base+"/oauth2/v2.0/authorize", base+"/v2.0")
	case strings.Contains(r.URL.Path, "/UserRealm/"):
		fmt.Fprint(w, managedRealm)
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
	fmt.Fprintf(w, `{"token_type":%q,"expires_in":3599,"access_token":"granted.at.%s"}`,
		kind, strings.ReplaceAll(r.Host, ":", "-"))
}

func serveDiscovery(w http.ResponseWriter, tokenEndpoint, authorizeEndpoint, issuer string) {
	json.NewEncoder(w).Encode(map[string]string{
		"token_endpoint":                tokenEndpoint,
		"authorization_endpoint":        authorizeEndpoint,
		"device_authorization_endpoint": tokenEndpoint,
		"issuer":                        issuer,
	})
}

const microsoftHost = "login.microsoftonline.com"

// lookalikeAuthorities are addresses that look like Microsoft's.
var lookalikeAuthorities = []string{
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
}

// TestLookalikeAuthorities checks that an address which looks like Microsoft's is refused, or that
// only Microsoft is asked about it. Microsoft does not know it.
func TestLookalikeAuthorities(t *testing.T) {
	t.Parallel()
	for _, authority := range lookalikeAuthorities {
		t.Run(authority[:min(len(authority), 80)], func(t *testing.T) {
			t.Parallel()
			if err := (token.Request{AuthorityHost: authority}).CheckValues(); err != nil {
				return // refused before any request
			}
			network := newHostileNetwork(t, serveLikeEntra)
			login := secretLogins(t)["workloadidentity"]
			env := network.env("AZURE_AUTHORITY_HOST=" + authority)
			got := runProgram(t, env, getTokenArgs(login.args...)...)
			got.wantErrorLines(t)
			wantPlainText(t, got)
			if n := network.wantSecretOnlyAt(t, login.secret); n != 0 {
				t.Errorf("the assertion was sent %d times", n)
			}
			for _, r := range network.requests() {
				isDiscovery := strings.HasPrefix(r.path, "/common/discovery/instance?")
				if r.host != microsoftHost || r.method != http.MethodGet || !isDiscovery {
					t.Errorf("%s %s %s was sent", r.method, r.host, r.path)
				}
			}
		})
	}
	for _, authority := range []string{
		"https://login.microsoftonline.com", "https://login.microsoftonline.com//",
		"https://LOGIN.MICROSOFTONLINE.COM/", "HTTPS://login.microsoftonline.com:443/",
	} {
		t.Run("good "+authority, func(t *testing.T) {
			t.Parallel()
			network := newHostileNetwork(t, serveLikeEntra)
			login := secretLogins(t)["workloadidentity"]
			env := network.env("AZURE_AUTHORITY_HOST=" + authority)
			if got := runProgram(t, env, getTokenArgs(login.args...)...); got.exit != 0 {
				t.Errorf("%+v", got)
			}
			n := network.wantSecretOnlyAt(t, login.secret, microsoftHost)
			if requests := len(network.requests()); n != 1 || requests != 1 {
				t.Errorf("the assertion was sent %d times, in %d requests", n, requests)
			}
		})
	}
}

// privateHost is the authority of a private cloud.
const privateHost = "login.private.example"

// serveEndpoint responds as a private cloud does whose discovery document has a token endpoint.
// Microsoft knows this cloud, and names a discovery document on another host.
func serveEndpoint(endpoint string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
			serveDiscovery(w, endpoint, endpoint, "https://"+privateHost+"/"+tenant+"/v2.0")
		case r.URL.Path == "/common/discovery/instance":
			json.NewEncoder(w).Encode(map[string]any{
				"tenant_discovery_endpoint": "https://evil.example/" + tenant +
					"/v2.0/.well-known/openid-configuration",
				"api-version": "1.1",
				"metadata": []map[string]any{{
					"preferred_network": "evil.example",
					"preferred_cache":   privateHost,
					"aliases":           []string{privateHost, "evil.example"},
				}},
			})
		default:
			serveLikeEntra(w, r)
		}
	}
}

// tokenEndpoints are addresses of token endpoints in a discovery document of privateHost. The value
// is whether the address is on that host.
var tokenEndpoints = map[string]bool{
	"https://evil.example/token":                                         false,
	"http://" + privateHost + "/token":                                   false,
	"https://" + privateHost + ":444/token":                              false,
	"https://" + privateHost + "@evil.example/token":                     false,
	"https://user:password@evil.example/token":                           false,
	"https://" + privateHost + ".evil.example/token":                     false,
	"https://evil" + privateHost + "/token":                              false,
	"https://token." + privateHost + "/token":                            false,
	"https://" + privateHost + "./token":                                 false,
	"https://lоgin.private.example/token":                                false,
	"https://login。private.example/token":                                false,
	"https://xn--lgin-jbg.private.example/token":                         false,
	`https://evil.example\@` + privateHost + `/token`:                    false,
	"https://evil.example#@" + privateHost + "/token":                    false,
	"https://" + privateHost + "%2f@evil.example/token":                  false,
	"//evil.example/token":                                               false,
	"https://login.microsoftonline.com/" + tenant + "/token":             false,
	"ftp://" + privateHost + "/token":                                    false,
	"":                                                                   false,
	"token":                                                              false,
	"https://evil.example/" + tenant + "/oauth2/v2.0/token":              false,
	"https://LOGIN.private.example/" + tenant + "/other/token":           true,
	"https://user:password@" + privateHost + "/" + tenant + "/token":     true,
	"https://" + privateHost + "/" + tenant + "/oauth2/v2.0/token?q=%41": true,
}

// TestDiscoveryNamingOtherHosts checks that no secret is sent to a token endpoint on another host
// than the authority, whether the authority's discovery document names it or Microsoft's.
func TestDiscoveryNamingOtherHosts(t *testing.T) {
	t.Parallel()
	const home = privateHost
	for method, login := range secretLogins(t) {
		for endpoint, good := range tokenEndpoints {
			for _, trusted := range []bool{true, false} {
				// The other methods, and the authority that is not trusted, get a part of the
				// endpoints.
				everyMethod := strings.HasSuffix(endpoint, "oauth2/v2.0/token") || good
				if !trusted && len(endpoint)%4 != 0 || len(endpoint)%min(sampleEvery, 3) != 0 ||
					method != "workloadidentity" && !everyMethod {
					continue
				}
				args := getTokenArgs(slices.Concat(login.args, []string{
					"--authority-host", "https://" + home,
					fmt.Sprintf("--disable-instance-discovery=%v", trusted),
				})...)
				t.Run(fmt.Sprintf("%s/%s/%v", method, endpoint, trusted), func(t *testing.T) {
					t.Parallel()
					network := newHostileNetwork(t, serveEndpoint(endpoint))
					got := runProgram(t, network.env(), args...)
					if good {
						upper := strings.ToUpper(home[:5]) + home[5:]
						n := network.wantSecretOnlyAt(t, login.secret, home, upper)
						if got.exit != 0 && n > 0 || got.exit == 0 && n != 1 {
							t.Errorf("the secret was sent %d times: %+v", n, got)
						}
						return
					}
					got.wantErrorLines(t)
					wantPlainText(t, got)
					if n := network.wantSecretOnlyAt(t, login.secret); n != 0 {
						t.Errorf("the secret was sent %d times", n)
					}
				})
			}
		}
	}
}

// TestSignInPageOnOtherHostIsNotOpened checks that the browser opens only a sign-in page on the
// authority's host.
func TestSignInPageOnOtherHostIsNotOpened(t *testing.T) {
	t.Parallel()
	const home = privateHost
	const script = "#!/bin/sh\necho \"$@\" >>\"$OPENED\"\n"
	browser := filepath.Join(t.TempDir(), "browser")
	if err := os.WriteFile(browser, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{
		"https://evil.example/authorize", "http://" + home + "/authorize",
		"https://" + home + "@evil.example/authorize", "https://" + home + ":444/authorize",
		"file:///etc/passwd", "--new-window", "javascript:alert(1)", "",
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			network := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
					issuer := "https://" + home + "/" + tenant + "/v2.0"
					serveDiscovery(w, "https://"+home+"/token", page, issuer)
					return
				}
				serveLikeEntra(w, r)
			})
			opened := filepath.Join(t.TempDir(), "opened")
			env := network.env("BROWSER="+browser, "OPENED="+opened,
				`KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1",`+
					`"kind":"ExecCredential","spec":{"interactive":true}}`)
			got := runProgram(t, env, getTokenArgs("--login", "interactive",
				"--authority-host", "https://"+home, "--disable-instance-discovery",
				"--timeout", "3s")...)
			if urls, err := os.ReadFile(opened); err == nil {
				t.Errorf("the browser opened %s", urls)
			}
			got.wantErrorLines(t)
			wantPlainText(t, got)
		})
	}
}

// TestInvalidRegions checks that a region from a variable, which becomes a part of a host name,
// sends no request to a host that is not Microsoft's.
func TestInvalidRegions(t *testing.T) {
	t.Parallel()
	for _, region := range []string{
		"evil.example/", "evil.example#", "evil.example?", "evil.example:443/", "a@evil.example/",
		`evil.example\`, "..", "westeurope.evil.example/", "\x1b[31m", "%2f", "WestEurope\u202e",
		strings.Repeat("a", 300),
	} {
		t.Run(region[:min(len(region), 30)], func(t *testing.T) {
			t.Parallel()
			network := newHostileNetwork(t, serveLikeEntra)
			login := secretLogins(t)["workloadidentity"]
			env := network.env("AZURE_REGIONAL_AUTHORITY_NAME=" + region)
			got := runProgram(t, env, getTokenArgs(append(login.args, "--timeout=10s")...)...)
			wantPlainText(t, got)
			for _, r := range network.requests() {
				isMicrosoft := strings.HasSuffix(r.host, ".login.microsoft.com") ||
					r.host == microsoftHost
				if r.method == http.MethodPost && !isMicrosoft {
					t.Errorf("%s %s", r.method, r.host)
				}
			}
		})
	}
}

// TestInvalidTokenProxies checks that an invalid address of a token proxy is refused.
func TestInvalidTokenProxies(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"http://proxy.example/", "https://user@proxy.example/", "https://proxy.example/?to=evil",
		"https://proxy.example/#x", "proxy.example", "https://", "file:///proxy",
		"https://proxy.example\\@evil.example/", "https://proxy.example\n",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			network := newHostileNetwork(t, serveLikeEntra)
			login := secretLogins(t)["workloadidentity"]
			env := network.env("AZURE_KUBERNETES_TOKEN_PROXY=" + address)
			got := runProgram(t, env, getTokenArgs(login.args...)...)
			got.wantErrorLines(t)
			wantPlainText(t, got)
			if len(network.requests()) != 0 {
				t.Errorf("%+v", network.requests())
			}
		})
	}
}

// TestNoSecretWithoutTLS checks that nothing is sent to a server with an invalid certificate, with
// old or weak TLS, or without TLS.
func TestNoSecretWithoutTLS(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, n *hostileNetwork){
		"old TLS": func(_ *testing.T, n *hostileNetwork) {
			n.tlsConfig.MaxVersion = tls.VersionTLS11
		},
		"weak key exchange": func(_ *testing.T, n *hostileNetwork) {
			n.tlsConfig.MaxVersion = tls.VersionTLS12
			n.tlsConfig.CipherSuites = []uint16{
				tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
			}
		},
		"other name": func(_ *testing.T, n *hostileNetwork) {
			n.tlsConfig.GetCertificate = wrongNameCertificate(n)
		},
		"unknown CA": func(t *testing.T, n *hostileNetwork) {
			n.ca = newHostileNetwork(t, serveLikeEntra).ca
		},
		"no TLS": func(_ *testing.T, n *hostileNetwork) { n.plain = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network := newHostileNetwork(t, serveLikeEntra)
			change(t, network)
			login := secretLogins(t)["workloadidentity"]
			got := runProgram(t, network.env(), getTokenArgs(login.args...)...)
			got.wantErrorLines(t)
			wantPlainText(t, got)
			if n := len(network.requests()); n != 0 {
				t.Errorf("%+v", network.requests())
			}
		})
	}
}
