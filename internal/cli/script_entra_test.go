package cli

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdEntra sets what the emulator does, or checks what it counted: entra VERB [ARGUMENT...]. The
// verbs are those of entraVerbs.
func cmdEntra(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: entra VERB [ARGUMENT...]")
	}
	verb, known := entraVerbs[args[0]]
	if !known {
		ts.Fatalf("unknown verb %q of entra", args[0])
	}
	verb(ts, server(ts), args[1:])
}

type entraVerb func(ts *testscript.TestScript, s *entratest.Server, args []string)

var entraVerbs = map[string]entraVerb{
	// What the emulator has counted: VERB N.
	"tokens":      wantCount("token requests", (*entratest.Server).TokenRequests),
	"issued":      wantCount("issued tokens", (*entratest.Server).Issued),
	"connections": wantCount("connections", (*entratest.Server).Connections),
	"proxied":     wantCount("proxied", (*entratest.Server).TokenProxyRequests),
	"github":      wantCount("GitHub requests", (*entratest.Server).GitHubRequests),
	"arm":         wantCount("requests to Resource Manager", (*entratest.Server).ResourceManagerRequests),
	"imds":        wantCount("requests to IMDS", (*entratest.Server).IMDSRequests),
	"pipelines":   wantCount("requests to Azure Pipelines", (*entratest.Server).PipelineRequests),
	"devices":     wantCount("requests for device codes", (*entratest.Server).DeviceCodeRequests),
	"signins":     wantCount("sign-ins", (*entratest.Server).AuthorizeRequests),

	// Requests that it has seen.
	"requests": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		if got := s.Requests(); !slices.Equal(got, args) {
			list := func(requests []string) string { return strings.Join(requests, "\n") }
			ts.Fatalf("requests were\n%s\nwant\n%s", list(got), list(args))
		}
	},
	"sent": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		writeFile(ts, args[0], formatRequests(s))
	},
	"reset": invoke((*entratest.Server).ResetCounters),

	// Requests to wait for: VERB N.
	"await": awaitCount("token requests",
		(*entratest.Server).WaitTokenRequests, (*entratest.Server).TokenRequests),
	"await-imds": awaitCount("requests to IMDS",
		(*entratest.Server).WaitIMDSRequests, (*entratest.Server).IMDSRequests),
	"await-device": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		deviceCode(ts, s)
	},

	// Failures of the next N requests: VERB N [NAME=VALUE...], see failureFrom.
	"fail":           fail((*entratest.Server).FailNext),
	"fail-arm":       fail((*entratest.Server).FailResourceManager),
	"fail-github":    fail((*entratest.Server).FailGitHub),
	"fail-imds":      fail((*entratest.Server).FailIMDS),
	"fail-pipelines": fail((*entratest.Server).FailPipelines),
	"fault": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailNextConn(parseInt(ts, args[0]), connectionFault(ts, args[1]))
	},
	"no-faults": invoke((*entratest.Server).ClearFailures),

	// Settings.
	"life":        setDuration((*entratest.Server).SetTokenLifetime),
	"refresh-in":  setDuration((*entratest.Server).SetRefreshIn),
	"delay":       setDuration((*entratest.Server).SetDelay),
	"device-life": setDuration((*entratest.Server).SetDeviceCodeLifetime),
	"hold":        invoke((*entratest.Server).Hold),
	"release":     invoke((*entratest.Server).Release),
	"sni":         setString((*entratest.Server).SetSNI),
	"protocol":    setProtocol,
	"proxy":       setProxy,
	"proxy-down": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.SetProxyDown(args[0] == "true")
	},

	// Users.
	"user": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.RegisterUser(userFrom(ts, args))
	},
	"realm": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.SetUserRealm(args[0], args[1])
	},
	"revoke": setString((*entratest.Server).RevokeRefreshTokens),
	"expire": setString((*entratest.Server).ExpireRefreshTokens),
	"approve": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(s.ApproveDevice(deviceCode(ts, s), args[0]))
	},
	"decline": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(s.DeclineDevice(deviceCode(ts, s)))
	},

	// Managed identities.
	"assign": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		app := entratest.App{Tenant: tenant, ClientID: args[0], ResourceID: args[1]}
		s.AssignIdentity(entratest.ManagedIdentity{App: app})
	},
	"trust": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.Register(trustingAppFrom(ts, args))
	},
	"unassign": setString((*entratest.Server).UnassignIdentity),
	"app-service": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		endpoint, header := s.EnableAppService()
		ts.Setenv("IDENTITY_ENDPOINT", endpoint)
		ts.Setenv("IDENTITY_HEADER", header)
	},

	// Federated tokens.
	"assertion": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		writeFile(ts, args[0], s.Assertion(claimsFrom(ts, args[1:])))
	},
	"forged": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		writeFile(ts, args[0], s.ForgedAssertion(claimsFrom(ts, args[1:])))
	},
	"workflow": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		url, requestToken := s.StartGitHubWorkflow(args[0])
		ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", url)
		ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", requestToken)
	},
	"pipeline": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		uri, systemToken := s.StartPipeline(serviceConnection, otherConnection)
		ts.Setenv("SYSTEM_OIDCREQUESTURI", uri)
		ts.Setenv("SYSTEM_ACCESSTOKEN", systemToken)
	},
}

func wantCount(what string, count func(*entratest.Server) int) entraVerb {
	return func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		if got, want := count(s), parseInt(ts, args[0]); got != want {
			ts.Fatalf("%d %s, want %d", got, what, want)
		}
	}
}

func awaitCount(
	what string,
	wait func(*entratest.Server, int, time.Duration) bool,
	count func(*entratest.Server) int,
) entraVerb {
	return func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		if !wait(s, parseInt(ts, args[0]), time.Minute) {
			ts.Fatalf("%d %s, want %s", count(s), what, args[0])
		}
	}
}

func fail(failNext func(*entratest.Server, int, entratest.Failure)) entraVerb {
	return func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		failNext(s, parseInt(ts, args[0]), failureFrom(ts, args[1:]))
	}
}

func invoke(do func(*entratest.Server)) entraVerb {
	return func(_ *testscript.TestScript, s *entratest.Server, _ []string) { do(s) }
}

func setDuration(set func(*entratest.Server, time.Duration)) entraVerb {
	return func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		set(s, parseDuration(ts, args[0]))
	}
}

func setString(set func(*entratest.Server, string)) entraVerb {
	return func(_ *testscript.TestScript, s *entratest.Server, args []string) { set(s, args[0]) }
}

func writeFile(ts *testscript.TestScript, name, content string) {
	ts.Check(os.WriteFile(ts.MkAbs(name), []byte(content), 0o600))
}

// failureFrom reads a failure: [aadsts=CODE] [status=N] [body=FILE] [redirect=URL] [hang=true]
// [retry-after=N] [retry-after-ms=N] [challenge=VALUE] [break=connection|body].
func failureFrom(ts *testscript.TestScript, args []string) (f entratest.Failure) {
	f.Header = http.Header{}
	parsePairs(ts, args, map[string]func(string){
		"aadsts":         func(v string) { f.AADSTS = parseInt(ts, v) },
		"status":         func(v string) { f.Status = parseInt(ts, v) },
		"body":           func(v string) { f.Body = ts.ReadFile(v) },
		"redirect":       func(v string) { f.Redirect = v },
		"hang":           func(v string) { f.Hang = v == "true" },
		"challenge":      func(v string) { f.Header.Set("WWW-Authenticate", v) },
		"retry-after":    func(v string) { f.Header.Set("Retry-After", v) },
		"retry-after-ms": func(v string) { f.Header.Set("Retry-After-Ms", v) },
		"break": func(v string) {
			f.Break = map[string]entratest.Break{
				"connection": entratest.BreakConnection, "body": entratest.BreakBody,
			}[v]
		},
	})
	return f
}

// trustingAppFrom reads an application that trusts the assigned managed identity, and is registered
// in its tenant: CLIENT [tenant=ID] [registered=ID] [subject=S] [audience=A]. With a tenant it has
// a service principal there.
func trustingAppFrom(ts *testscript.TestScript, args []string) entratest.App {
	app := entratest.App{Tenant: tenant, ClientID: args[0], RegisteredIn: tenant}
	trust := entratest.FederatedCredential{
		Issuer:  "https://login.microsoftonline.com/" + tenant + "/v2.0",
		Subject: assignedObject,
	}
	parsePairs(ts, args[1:], map[string]func(string){
		"tenant":     func(v string) { app.Tenant = v },
		"registered": func(v string) { app.RegisteredIn = v },
		"subject":    func(v string) { trust.Subject = v },
		"audience":   func(v string) { trust.Audience = v },
	})
	app.FederatedCredentials = []entratest.FederatedCredential{trust}
	return app
}

// claimsFrom reads the claims of a federated token: [subject=S] [issuer=URL] [audience=A]
// [life=DURATION].
func claimsFrom(ts *testscript.TestScript, args []string) entratest.Claims {
	c := entratest.Claims{Subject: subject}
	parsePairs(ts, args, map[string]func(string){
		"subject":  func(v string) { c.Subject = v },
		"issuer":   func(v string) { c.Issuer = v },
		"audience": func(v string) { c.Audience = v },
		"life":     func(v string) { c.Expires = time.Now().Add(parseDuration(ts, v)) },
	})
	return c
}

// userFrom reads a user: NAME [tenant=ID] [password=WORD] [mfa=true] [refusal=AADSTS-code].
func userFrom(ts *testscript.TestScript, args []string) entratest.User {
	u := entratest.User{Tenant: tenant, Name: args[0], Password: password}
	parsePairs(ts, args[1:], map[string]func(string){
		"tenant":   func(v string) { u.Tenant = v },
		"password": func(v string) { u.Password = v },
		"mfa":      func(v string) { u.MFA = v == "true" },
		"refusal":  func(v string) { u.AADSTS = parseInt(ts, v) },
	})
	return u
}

// deviceCode waits until a login asks a user to enter a code, and returns that code.
func deviceCode(ts *testscript.TestScript, s *entratest.Server) string {
	code, ok := s.WaitUserCode(time.Minute)
	if !ok {
		ts.Fatalf("no device code was requested")
	}
	return code
}

// varyingParameters matches parameters whose values are secret or differ from run to run.
var varyingParameters = regexp.MustCompile(`^(client_assertion|client_secret|password|` +
	`refresh_token|device_code|code|code_verifier|code_challenge|state|nonce|req_cnf|` +
	`client-request-id)$`)

var loopbackPort = regexp.MustCompile(`(localhost|127\.0\.0\.1):\d+`)

// formatRequests lists the requests to Entra ID's endpoints, one a line with sorted parameters, so
// that the requests of two programs can be compared.
func formatRequests(s *entratest.Server) string {
	var b strings.Builder
	for _, r := range s.OAuthRequests() {
		host := loopbackPort.ReplaceAllString(r.Host, "$1:PORT")
		fmt.Fprintf(&b, "%s %s %s", r.Endpoint, host, r.Tenant)
		for _, name := range slices.Sorted(maps.Keys(r.Form)) {
			value := strings.Join(r.Form[name], ",")
			if varyingParameters.MatchString(name) {
				value = "…"
			}
			fmt.Fprintf(&b, " %s=%s", name, loopbackPort.ReplaceAllString(value, "$1:PORT"))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func connectionFault(ts *testscript.TestScript, name string) entratest.ConnFault {
	fault := entratest.ConnFaults[name]
	if fault == nil {
		ts.Fatalf("unknown connection fault %q", name)
	}
	return fault
}

// setProtocol sets the emulator's ALPN protocol, its TLS version, and when its certificate is
// valid:
//
//	entra protocol [alpn=http/1.1] [tls=1.1] [from=-2h until=-1h]
//
// An argument that is missing resets its setting.
func setProtocol(ts *testscript.TestScript, s *entratest.Server, args []string) {
	versions := map[string]uint16{
		"1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
	}
	s.SetALPN("")
	s.SetTLSVersion(0)
	var from, until time.Time
	fromNow := func(t *time.Time) func(string) {
		return func(v string) { *t = time.Now().Add(parseDuration(ts, v)) }
	}
	parsePairs(ts, args, map[string]func(string){
		"alpn":  s.SetALPN,
		"tls":   func(v string) { s.SetTLSVersion(versions[v]) },
		"from":  fromNow(&from),
		"until": fromNow(&until),
	})
	s.SetCertificateValidity(from, until)
}

// setProxy sets the credentials and the fault of the emulator's proxy, or makes it intercept TLS
// with a CA whose certificate it writes to a file:
//
//	entra proxy [user=NAME password=WORD] [fault=NAME] [opens=FILE]
//
// A missing argument resets its setting, except opens: interception stays on.
func setProxy(ts *testscript.TestScript, s *entratest.Server, args []string) {
	var user, proxyPassword string
	s.SetProxyFault(nil)
	parsePairs(ts, args, map[string]func(string){
		"user":     func(v string) { user = v },
		"password": func(v string) { proxyPassword = v },
		"fault":    func(v string) { s.SetProxyFault(connectionFault(ts, v)) },
		"opens": func(v string) {
			ca, err := os.ReadFile(s.InterceptTLS())
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(v), ca, 0o600))
		},
	})
	s.SetProxyPassword(user, proxyPassword)
}
