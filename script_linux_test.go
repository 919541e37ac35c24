package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/token"
)

// The scripts run on Linux: they trust the emulator by SSL_CERT_FILE, which Go does not read on macOS and Windows.
// The test binary is the program: as "akslogin" it is run, with a clock that $AKSLOGIN_LATER moves and a shorter pace.
func TestMain(m *testing.M) {
	program := func() { os.Exit(run(os.Args[1:], testWorld())) }
	testscript.Main(cleaning{m}, map[string]func(){
		"akslogin": program, "kubelogin": program,
		"az": fake{"az", runAz}.main, "azd": fake{"azd", runAzd}.main,
		"signin": signIn, "chromium-signin": chromiumSignIn, "vm": vm, "names": ownNames, "at-once": atOnce,
		"keyless": keyless, "normal": normal,
	})
}

// cleaning removes what tests share and cannot remove themselves.
type cleaning struct{ *testing.M }

func (c cleaning) Run() int {
	defer func() { os.RemoveAll(shipped) }()
	return c.M.Run()
}

func testWorld() world {
	duration := func(variable string) time.Duration {
		d, _ := time.ParseDuration(os.Getenv(variable))
		return d
	}
	later := duration("AKSLOGIN_LATER")
	return world{
		now:      func() time.Time { return time.Now().Add(later) },
		pace:     5 * time.Millisecond,
		patience: duration("PATIENCE"),
		queue:    duration("QUEUE"),

		lockPatience: duration("LOCK_PATIENCE"),
	}
}

// Who is known to the emulator in every script.
const (
	tenant        = "11111111-aaaa-4444-8888-000000000001"
	otherTenant   = "11111111-aaaa-4444-8888-000000000002"
	client        = "22222222-bbbb-4444-8888-000000000001"
	otherClient   = "22222222-bbbb-4444-8888-000000000002"
	otherServerID = "33333333-cccc-4444-8888-000000000001"
	subject       = "system:serviceaccount:airflow:worker"
	gitHubSubject = "repo:akslogin/akslogin:ref:refs/heads/main"

	secret      = "aks8Q~secret-of-the-first-client-in-tests"
	otherSecret = "aks8Q~secret-of-the-other-client-in-tests"

	alice, bob    = "alice@contoso.example", "bob@contoso.example" // in tenant
	carol         = "carol@fabrikam.example"                       // in otherTenant
	password      = "Correct-Horse-Battery-1"
	otherPassword = "Correct-Horse-Battery-2" // bob's

	subscription      = "77777777-aaaa-4444-8888-000000000001"
	otherSubscription = "77777777-aaaa-4444-8888-000000000002"

	// The machine's own identity, and one that is assigned to it.
	machine  = "22222222-bbbb-4444-8888-000000000011"
	identity = "22222222-bbbb-4444-8888-000000000012"

	identityGroup = "/subscriptions/" + subscription + "/resourceGroups/nodes/providers/"
	identityID    = identityGroup + "Microsoft.ManagedIdentity/userAssignedIdentities/worker"
)

// serviceConnection and otherConnection are service connections of Azure Pipelines.
var (
	serviceConnection = entratest.ServiceConnection{ID: "99999999-aaaa-4444-8888-000000000001", Organization: "akslogin", Project: "akslogin", Name: "aks"}
	otherConnection   = entratest.ServiceConnection{ID: "99999999-aaaa-4444-8888-000000000002", Organization: "akslogin", Project: "akslogin", Name: "other"}
)

func populate(s *entratest.Server) {
	trust := []entratest.FederatedCredential{
		{Issuer: s.Issuer, Subject: subject},
		{Issuer: s.Issuer, Subject: subject, Audience: "api://AzureADTokenExchangeUSGov"},
		{Issuer: "https://token.actions.githubusercontent.com", Subject: gitHubSubject},
		serviceConnection.Trust(), otherConnection.Trust(),
	}
	secrets := map[string][]string{client: {secret}, otherClient: {otherSecret}}
	for _, t := range []string{tenant, otherTenant} {
		for _, c := range []string{client, otherClient} {
			s.Register(entratest.App{
				Tenant: t, TenantDomain: map[string]string{tenant: "contoso.example"}[t], ClientID: c,
				Federated: trust, Secrets: secrets[c], Certificates: appCertificates()[c],
			})
		}
		s.RegisterResource(t, otherServerID)
	}
	for _, u := range []entratest.User{{Tenant: tenant, Name: alice, Password: password}, {Tenant: tenant, Name: bob, Password: otherPassword}, {Tenant: otherTenant, Name: carol, Password: password}} {
		s.RegisterUser(u)
	}
	s.AssignIdentity(entratest.ManagedIdentity{App: entratest.App{Tenant: tenant, ClientID: machine, ResourceID: identityGroup + "Microsoft.Compute/virtualMachines/vm"}, SystemAssigned: true})
	s.AssignIdentity(entratest.ManagedIdentity{App: entratest.App{Tenant: tenant, ClientID: identity, ResourceID: identityID}})
	s.RegisterCluster(entratest.Cluster{
		Tenant: tenant, ID: clusterID, Users: []string{client}, Kubeconfig: fmt.Sprintf(aksKubeconfig, "private"), PublicKubeconfig: fmt.Sprintf(aksKubeconfig, "public"),
	})
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup:               setup,
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"entra": entra, "credential": credential, "same": same, "secretless": secretless, "signal": signalRuns, "oneline": oneline, "tmpfs": tmpfs, "blocked": blocked, "exitcode": exitcode,
			"whose": whose, "fake": runsOfFakes, "free-port": setFreePort, "installed": installPrograms,
		},
	})
}

type serverKey struct{}

// setup gives a script its own Entra ID behind the public cloud's names, a home, and a federated token in $TOKEN.
func setup(env *testscript.Env) error {
	s := entratest.New(env.T().(testing.TB))
	populate(s)
	env.Values[serverKey{}] = s
	home := filepath.Join(env.WorkDir, "home")
	federated := filepath.Join(env.WorkDir, "federated-token")
	for name, value := range map[string]string{
		"HOME": home, "TOKEN": federated, "TENANT": tenant, "OTHER_TENANT": otherTenant, "CLIENT": client, "OTHER_CLIENT": otherClient,
		"CLUSTER": clusterID, "SERVER_ID": entratest.AKSServerID, "OTHER_SERVER_ID": otherServerID, "SUBJECT": subject, "GITHUB_SUBJECT": gitHubSubject,
		"CACHE": filepath.Join(home, ".cache", "akslogin"), "ENTRA": s.URL, "ISSUER": s.Issuer,
		"HTTPS_PROXY": s.ProxyURL, "ENTRA_PROXY": s.ProxyURL, "SSL_CERT_FILE": s.CAFile,
		"TOKEN_PROXY": s.TokenProxyURL(), "TOKEN_PROXY_CA": s.TokenProxyCAFile,
		"SECRET": secret, "OTHER_SECRET": otherSecret, "ALICE": alice, "BOB": bob, "CAROL": carol, "PASSWORD": password, "OTHER_PASSWORD": otherPassword,
		"SUBSCRIPTION": subscription, "OTHER_SUBSCRIPTION": otherSubscription, "CONNECTION": serviceConnection.ID, "OTHER_CONNECTION": otherConnection.ID, "PUBLIC_CLIENT": token.PublicClient,
		"IMDS": s.IMDSURL, "IMDS_HOST": strings.TrimPrefix(s.IMDSURL, "http://"), "AZURE_POD_IDENTITY_AUTHORITY_HOST": s.IMDSURL, "MACHINE": machine, "IDENTITY": identity, "IDENTITY_ID": identityID, "FAKE_LOG": filepath.Join(env.WorkDir, "fake.log"),
		"CROWD": crowd, "EVIL": "a\x1b[31m\nb\r\u202ec",
	} {
		env.Setenv(name, value)
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	env.Defer(func() { endFakes(env.WorkDir) })
	if err := writeCertificates(env); err != nil {
		return err
	}
	return os.WriteFile(federated, []byte(s.Assertion(entratest.Claims{Subject: subject})+"\n"), 0o600)
}

func server(ts *testscript.TestScript) *entratest.Server {
	return ts.Value(serverKey{}).(*entratest.Server)
}

// entra sets and asserts what the emulator does: see the table.
func entra(ts *testscript.TestScript, neg bool, args []string) {
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
		wantCount(ts, "proxied", s.ProxiedTokenRequests(), args)
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
		s.FailWire(number(ts, args[0]), wireFrom(ts, args[1]))
	},
	"calm":  func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.Calm() },
	"speak": speak,
	"proxy": proxy,
	"reset": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.ResetCounters() },
	"life":  func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.SetLife(argDuration(ts, args)) },
	"refresh-in": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.SetRefreshIn(argDuration(ts, args))
	},
	"delay":      func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.SetDelay(argDuration(ts, args)) },
	"hold":       func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.Hold() },
	"release":    func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.Release() },
	"proxy-down": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.SetProxyDown(args[0] == "true") },
	"sni":        func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.SetSNI(args[0]) },
	"await": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		if !s.WaitTokenRequests(number(ts, args[0]), time.Minute) {
			ts.Fatalf("token requests did not come: %d", s.TokenRequests())
		}
	},
	"fail": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailNext(number(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"arm": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "requests to Azure Resource Manager", s.ResourceManagerRequests(), args)
	},
	"fail-arm": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailResourceManager(number(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"fail-github": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailGitHub(number(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"imds": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "requests to IMDS", s.IMDSRequests(), args)
	},
	"await-imds": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		if !s.WaitIMDSRequests(number(ts, args[0]), time.Minute) {
			ts.Fatalf("requests to IMDS did not come: %d", s.IMDSRequests())
		}
	},
	"fail-imds": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailIMDS(number(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"assign": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.AssignIdentity(entratest.ManagedIdentity{App: entratest.App{Tenant: tenant, ClientID: args[0], ResourceID: args[1]}})
	},
	"unassign": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.UnassignIdentity(args[0]) },
	"app-service": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		endpoint, header := s.AppService()
		ts.Setenv("IDENTITY_ENDPOINT", endpoint)
		ts.Setenv("IDENTITY_HEADER", header)
	},
	"pipelines": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "requests to Azure Pipelines", s.PipelineRequests(), args)
	},
	"fail-pipelines": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.FailPipelines(number(ts, args[0]), failureFrom(ts, args[1:]))
	},
	"pipeline": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		uri, systemToken := s.Pipeline(serviceConnection, otherConnection)
		ts.Setenv("SYSTEM_OIDCREQUESTURI", uri)
		ts.Setenv("SYSTEM_ACCESSTOKEN", systemToken)
	},
	"user": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.RegisterUser(userFrom(ts, args))
	},
	"revoke": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.RevokeRefreshTokens(args[0]) },
	"expire": func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.ExpireRefreshTokens(args[0]) },
	"devices": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "requests for device codes", s.DeviceRequests(), args)
	},
	"device-life": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		s.SetDeviceLife(argDuration(ts, args))
	},
	"approve": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(s.ApproveDevice(deviceCode(ts, s), args[0]))
	},
	"await-device": func(ts *testscript.TestScript, s *entratest.Server, args []string) { deviceCode(ts, s) },
	"realm":        func(ts *testscript.TestScript, s *entratest.Server, args []string) { s.SetRealm(args[0], args[1]) },
	"decline": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(s.DeclineDevice(deviceCode(ts, s)))
	},
	"signins": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		wantCount(ts, "sign-ins", s.Authorizations(), args)
	},
	"sent": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(sentForms(s)), 0o600))
	},
	"assertion": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s.Assertion(claimsFrom(ts, args[1:]))), 0o600))
	},
	"forged": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s.Forged(claimsFrom(ts, args[1:]))), 0o600))
	},
	"workflow": func(ts *testscript.TestScript, s *entratest.Server, args []string) {
		url, requestToken := s.GitHub(args[0])
		ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", url)
		ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", requestToken)
	},
}

func wantCount(ts *testscript.TestScript, what string, got int, args []string) {
	if want := number(ts, args[0]); got != want {
		ts.Fatalf("%d %s, wanted %d", got, what, want)
	}
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func argDuration(ts *testscript.TestScript, args []string) time.Duration {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	return d
}

// pairs reads name=value arguments.
func pairs(ts *testscript.TestScript, args []string, set map[string]func(value string)) {
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		if set[name] == nil {
			ts.Fatalf("no %q here", name)
		}
		set[name](value)
	}
}

func failureFrom(ts *testscript.TestScript, args []string) (f entratest.Failure) {
	f.Header = http.Header{}
	pairs(ts, args, map[string]func(string){
		"aadsts":         func(v string) { f.AADSTS = number(ts, v) },
		"status":         func(v string) { f.Status = number(ts, v) },
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
	pairs(ts, args, map[string]func(string){
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

// credential checks that standard output is ExecCredentials with tokens for an audience that the emulator signed, all of them the same
// token, and keeps that under a name: credential NAME [audience=ID] [version=v1] [count=20] [pop=U]. With pop they are access tokens bound to
// a key, signed with it for the cluster U, each anew: what was signed is kept under NAME, what was printed under NAME-signed.
func credential(ts *testscript.TestScript, neg bool, args []string) {
	audience, version, count, host := entratest.AKSServerID, "client.authentication.k8s.io/v1beta1", 1, ""
	pairs(ts, args[1:], map[string]func(string){
		"pop":      func(v string) { host = v },
		"audience": func(v string) { audience = v },
		"version":  func(v string) { version = "client.authentication.k8s.io/" + v },
		"count":    func(v string) { count = number(ts, v) },
	})
	var tokens, proofs []string
	for decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))); ; {
		var c clientauthentication.ExecCredential
		err := decoder.Decode(&c)
		if err == io.EOF {
			break
		}
		ts.Check(err)
		if c.Kind != "ExecCredential" || c.APIVersion != version || c.Status == nil {
			ts.Fatalf("not an ExecCredential of %s: %+v", version, c)
		}
		access := c.Status.Token
		if host == "" {
			_, err = server(ts).Verify(access, audience)
		} else {
			access, err = provenToken(ts, c.Status, audience, host)
			if slices.Contains(proofs, c.Status.Token) {
				ts.Fatalf("two runs printed the same proof")
			}
			proofs = append(proofs, c.Status.Token)
			ts.Setenv("credential_"+args[0]+"-signed", c.Status.Token)
		}
		if err != nil {
			ts.Fatalf("the token does not verify: %v", err)
		}
		if c.Status.ExpirationTimestamp == nil || !c.Status.ExpirationTimestamp.After(time.Now()) {
			ts.Fatalf("bad expiry %v", c.Status.ExpirationTimestamp)
		}
		tokens = append(tokens, access)
	}
	if len(tokens) != count || len(slices.Compact(slices.Clone(tokens))) != 1 {
		ts.Fatalf("%d credentials, %d different; wanted %d of the same", len(tokens), len(slices.Compact(slices.Sorted(slices.Values(tokens)))), count)
	}
	ts.Setenv("credential_"+args[0], tokens[0])
}

// provenToken verifies a token with a proof of possession, and returns the access token in it. Its end is the proof's.
func provenToken(ts *testscript.TestScript, status *clientauthentication.ExecCredentialStatus, audience, host string) (string, error) {
	later, _ := time.ParseDuration(ts.Getenv("AKSLOGIN_LATER"))
	now := time.Now().Add(later)
	if _, err := server(ts).VerifyPoPAt(now, status.Token, audience, host); err != nil {
		return "", err
	}
	if left := status.ExpirationTimestamp.Sub(now); left > 10*time.Minute {
		return "", fmt.Errorf("it is said to be good for %s", left)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(status.Token, ".")[1])
	var signed struct{ At string }
	if err == nil {
		err = json.Unmarshal(claims, &signed)
	}
	return signed.At, err
}

// same compares two credentials that were kept.
func same(ts *testscript.TestScript, neg bool, args []string) {
	a, b := ts.Getenv("credential_"+args[0]), ts.Getenv("credential_"+args[1])
	if a == "" || b == "" {
		ts.Fatalf("no such credential")
	}
	if (a == b) == neg {
		ts.Fatalf("tokens are the same: %v", a == b)
	}
}

// secretless looks for every token and assertion that the emulator saw, and for the secrets in $SECRETS, in files and folders.
func secretless(ts *testscript.TestScript, neg bool, args []string) {
	s := server(ts)
	secrets := slices.Concat(s.IssuedTokens(), s.SeenAssertions(), s.SeenSecrets(), strings.Fields(ts.Getenv("SECRETS")))
	secrets = append(secrets, strings.TrimSpace(ts.ReadFile(ts.Getenv("TOKEN"))), ts.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	look := func(where, content string) {
		for _, secret := range secrets {
			if pieces := strings.Split(secret, "."); len(secret) > 8 && (strings.Contains(content, secret) || len(pieces[len(pieces)-1]) > 40 && strings.Contains(content, pieces[len(pieces)-1])) {
				ts.Fatalf("%s holds a secret", where)
			}
		}
	}
	for _, arg := range args {
		if arg == "stdout" || arg == "stderr" {
			look(arg, ts.ReadFile(arg))
			continue
		}
		ts.Check(filepath.WalkDir(ts.MkAbs(arg), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			look(path, string(content))
			return err
		}))
	}
}

// signalRuns stops (SIGSTOP), continues or kills the akslogin processes of this script, or so many that were started first: signal kill [1].
func signalRuns(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"stop": syscall.SIGSTOP, "continue": syscall.SIGCONT, "kill": syscall.SIGKILL}
	cmds := ts.BackgroundCmds()
	if len(args) > 1 {
		cmds = cmds[:number(ts, args[1])]
	}
	for _, cmd := range cmds {
		ts.Check(cmd.Process.Signal(signals[args[0]]))
	}
}

// oneline checks that standard error is what people get: one line of error, at most one of hint, each of readable length.
func oneline(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	ok := len(lines) <= 2 && strings.HasPrefix(lines[0], "akslogin: error: ") && (len(lines) == 1 || strings.HasPrefix(lines[1], "akslogin: hint: "))
	for _, line := range lines {
		ok = ok && len(line) < 1000 && strings.IndexFunc(line, func(c rune) bool { return c < ' ' }) < 0
	}
	if !ok {
		ts.Fatalf("not one line of error and at most one of hint:\n%s", strings.Join(lines, "\n"))
	}
}

// tmpfs mounts a small file system, which needs root: tmpfs FOLDER OPTIONS.
func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(folder, 0o700))
	var out bytes.Buffer
	mount := exec.Command("mount", "-t", "tmpfs", "-o", args[1], "akslogin-test", folder)
	mount.Stdout, mount.Stderr = &out, &out
	if err := mount.Run(); err != nil {
		ts.Fatalf("mount: %v %s", err, out.String())
	}
	ts.Defer(func() { exec.Command("umount", "-l", folder).Run() })
}

// blocked waits until so many processes wait for a lock in the script's cache folder: blocked 19, or blocked 19+ for that many at least.
func blocked(ts *testscript.TestScript, neg bool, args []string) {
	least, orMore := strings.CutSuffix(args[0], "+")
	want := number(ts, least)
	deadline := time.Now().Add(time.Minute)
	for {
		locks, err := filepath.Glob(filepath.Join(ts.Getenv("CACHE"), "*.lock"))
		ts.Check(err)
		table, err := os.ReadFile("/proc/locks")
		ts.Check(err)
		got := 0
		for _, lock := range locks {
			fi, err := os.Stat(lock)
			ts.Check(err)
			inode := fmt.Sprintf(":%d ", fi.Sys().(*syscall.Stat_t).Ino)
			for line := range strings.Lines(string(table)) {
				if strings.Contains(line, "->") && strings.Contains(line, inode) {
					got++
				}
			}
		}
		if got == want || orMore && got > want {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%d processes wait for a lock, wanted %s\n%s", got, args[0], table)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// exitcode runs a command that must end with a status: exitcode 2 akslogin ...
func exitcode(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if want := number(ts, args[0]); !errors.As(err, &exit) || exit.ExitCode() != want {
		ts.Fatalf("ended with %v, wanted status %d", err, want)
	}
}
