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

// cmdEntra sets and asserts what the emulator does: see the table.
func cmdEntra(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: entra VERB [ARGUMENT...]")
	}
	do, known := entraVerbs[args[0]]
	if !known {
		ts.Fatalf("entra knows no %q", args[0])
	}
	do(ts, server(ts), args[1:])
}

var entraVerbs = map[string]func(ts *testscript.TestScript, s *entratest.Server, args []string){
	"tokens": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "token requests", s.TokenRequests(), args)
	},
	"issued": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "issued tokens", s.Issued(), args)
	},
	"connections": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "connections", s.Connections(), args)
	},
	"proxied": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "proxied", s.TokenProxyRequests(), args)
	},
	"github": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "GitHub requests", s.GitHubRequests(), args)
	},
	"requests": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		if got := s.Requests(); !slices.Equal(got, args) {
			ts.Fatalf("requests were\n%s\nwanted\n%s", strings.Join(got, "\n"), strings.Join(args, "\n"))
		}
	},
	"wire": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailNextConn(parseInt(ts, args[0]), connectionFault(ts, args[1]))
	},
	"calm":  func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.ClearFailures() },
	"speak": setProtocol,
	"proxy": setProxy,
	"reset": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.ResetCounters() },
	"life": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.SetTokenLifetime(parseDurationArg(ts, args))
	},
	"refresh-in": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.SetRefreshIn(parseDurationArg(ts, args))
	},
	"delay": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.SetDelay(parseDurationArg(ts, args))
	},
	"hold":       func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.Hold() },
	"release":    func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.Release() },
	"proxy-down": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.SetProxyDown(args[0] == "true") },
	"sni":        func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.SetSNI(args[0]) },
	"await": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		if !s.WaitTokenRequests(parseInt(ts, args[0]), time.Minute) {
			ts.Fatalf("token requests did not come: %d", s.TokenRequests())
		}
	},
	"fail": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailNext(parseInt(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"arm": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "requests to Azure Resource Manager", s.ResourceManagerRequests(), args)
	},
	"fail-arm": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailResourceManager(parseInt(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"fail-github": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailGitHub(parseInt(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"imds": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "requests to IMDS", s.IMDSRequests(), args)
	},
	"await-imds": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		if !s.WaitIMDSRequests(parseInt(ts, args[0]), time.Minute) {
			ts.Fatalf("requests to IMDS did not come: %d", s.IMDSRequests())
		}
	},
	"fail-imds": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailIMDS(parseInt(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"assign": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.AssignIdentity(entratest.ManagedIdentity{App: entratest.App{Tenant: tenant, ClientID: args[0], ResourceID: args[1]}})
	},
	"unassign": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.UnassignIdentity(args[0]) },
	"app-service": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		endpoint, header := s.EnableAppService()
		ts.Setenv("IDENTITY_ENDPOINT", endpoint)
		ts.Setenv("IDENTITY_HEADER", header)
	},
	"pipelines": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "requests to Azure Pipelines", s.PipelineRequests(), args)
	},
	"fail-pipelines": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailPipelines(parseInt(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"pipeline": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		uri, systemToken := s.StartPipeline(serviceConnection, otherConnection)
		ts.Setenv("SYSTEM_OIDCREQUESTURI", uri)
		ts.Setenv("SYSTEM_ACCESSTOKEN", systemToken)
	},
	"user": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.RegisterUser(userFrom(ts, args))
	},
	"revoke": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.RevokeRefreshTokens(args[0]) },
	"expire": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.ExpireRefreshTokens(args[0]) },
	"devices": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "requests for device codes", s.DeviceCodeRequests(), args)
	},
	"device-life": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.SetDeviceCodeLifetime(parseDurationArg(ts, args))
	},
	"approve": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(s.ApproveDevice(deviceCode(ts, s), args[0]))
	},
	"await-device": func(ts *testscript.TestScript, s *entratest.Server, args []string) { deviceCode(ts, s) },
	"realm":        func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.SetUserRealm(args[0], args[1]) },
	"decline": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(s.DeclineDevice(deviceCode(ts, s)))
	},
	"signins": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "sign-ins", s.AuthorizeRequests(), args)
	},
	"sent": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(sentForms(s)), 0o600))
	},
	"assertion": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s.Assertion(claimsFrom(ts, args[1:]))), 0o600))
	},
	"forged": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s.ForgedAssertion(claimsFrom(ts, args[1:]))), 0o600))
	},
	"workflow": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		url, requestToken := s.StartGitHubWorkflow(args[0])
		ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", url)
		ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", requestToken)
	},
}

func wantCount(ts *testscript.TestScript, what string, got int, args []string) {
	if want := parseInt(ts, args[0]); got != want {
		ts.Fatalf("%d %s, wanted %d", got, what, want)
	}
}

func failureFrom(ts *testscript.TestScript, args []string) (f entratest.Failure) {
	f.Header = http.Header{}
	parsePairs(ts, args, map[string]func(string){
		"aadsts":         func(v string) { f.AADSTS = parseInt(ts, v) },
		"status":         func(v string) { f.Status = parseInt(ts, v) },
		"body":           func(v string) { f.Body = ts.ReadFile(v) },
		"redirect":       func(v string) { f.Redirect = v },
		"hang":           func(v string) { f.Hang = v == "true" },
		"retry-after":    func(v string) { f.Header.Set("Retry-After", v) },
		"retry-after-ms": func(v string) { f.Header.Set("Retry-After-Ms", v) },
		"break": func(v string) {
			f.Break = map[string]entratest.Break{"connection": entratest.BreakConnection, "body": entratest.BreakBody}[v]
		},
	})
	return f
}

func claimsFrom(ts *testscript.TestScript, args []string) entratest.Claims {
	c := entratest.Claims{Subject: subject}
	parsePairs(ts, args, map[string]func(string){
		"subject":  func(v string) { c.Subject = v },
		"issuer":   func(v string) { c.Issuer = v },
		"audience": func(v string) { c.Audience = v },
		"life": func(v string) {
			d, err := time.ParseDuration(v)
			ts.Check(err)
			c.Expires = time.Now().Add(d)
		},
	})
	return c
}

// userFrom reads a person: NAME [tenant=ID] [password=WORD] [mfa=true] [refusal=AADSTS-code].
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

// deviceCode waits for the user code that somebody is asked to enter.
func deviceCode(ts *testscript.TestScript, s *entratest.Server) string {
	code, ok := s.WaitUserCode(time.Minute)
	if !ok {
		ts.Fatalf("no device code was asked for")
	}
	return code
}

// varyingParameters are the parameters whose values differ from run to run, or are secret.
var varyingParameters = regexp.MustCompile(`^(client_assertion|client_secret|password|refresh_token|device_code|code|code_verifier|code_challenge|state|nonce|req_cnf|client-request-id)$`)

var loopbackPort = regexp.MustCompile(`(localhost|127\.0\.0\.1):\d+`)

// sentForms are the requests to Entra's endpoints, one a line with their parameters in order, so
// that two programs can be compared.
func sentForms(s *entratest.Server) string {
	var b strings.Builder
	for _, r := range s.OAuthRequests() {
		fmt.Fprintf(&b, "%s %s %s", r.Endpoint, loopbackPort.ReplaceAllString(r.Host, "$1:PORT"), r.Tenant)
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
	wire := entratest.ConnFaults[name]
	if wire == nil {
		ts.Fatalf("no wire %q", name)
	}
	return wire
}

// setProtocol says how the emulator's connections are: entra speak [alpn=http/1.1] [tls=1.1]
// [from=-2h until=-1h]. What is not given is as usual.
func setProtocol(ts *testscript.TestScript, s *entratest.Server, args []string) {
	versions := map[string]uint16{"1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	s.SetALPN("")
	s.SetTLSVersion(0)
	var from, until time.Time
	moment := func(into *time.Time) func(string) {
		return func(v string) { *into = time.Now().Add(parseDurationArg(ts, []string{v})) }
	}
	parsePairs(ts, args, map[string]func(string){
		"alpn": s.SetALPN, "tls": func(v string) { s.SetTLSVersion(versions[v]) }, "from": moment(&from), "until": moment(&until),
	})
	s.SetCertificateValidity(from, until)
}

// setProxy says how the emulator's proxy is: entra proxy [user=NAME password=WORD] [wire=NAME]
// [opens=FILE]. With opens it opens TLS, and the CA is in that file. What is not given is as usual,
// but for opens, which stays.
func setProxy(ts *testscript.TestScript, s *entratest.Server, args []string) {
	var user, word string
	s.SetProxyFault(nil)
	parsePairs(ts, args, map[string]func(string){
		"user": func(v string) { user = v }, "password": func(v string) { word = v },
		"wire": func(v string) { s.SetProxyFault(connectionFault(ts, v)) },
		"opens": func(v string) {
			ca, err := os.ReadFile(s.InterceptTLS())
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(v), ca, 0o600))
		},
	})
	s.SetProxyPassword(user, word)
}
