package cli

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/token"
)

// loginRun is one program with surroundings of its own.
type loginRun struct {
	t      *testing.T
	folder string
	server *entratest.Server
	values map[string]string

	mutex    sync.Mutex
	cleanups []func()
	problems []string // what no well-behaved client would send
}

// The methods of an entratest.TB: what is wrong is a part of the outcome.

func (r *loginRun) Errorf(format string, args ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}
func (r *loginRun) Fatalf(format string, args ...any) { r.t.Fatalf(format, args...) }
func (r *loginRun) Cleanup(end func())                { r.cleanups = append(r.cleanups, end) }
func (r *loginRun) TempDir() string                   { return r.t.TempDir() }

// More who are known in these runs, so that every combination can log in.
const (
	sdkClient       = "22222222-bbbb-4444-8888-000000000003"
	terraformClient = "22222222-bbbb-4444-8888-000000000004"

	popCluster = "/subscriptions/" + subscription + "/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/c"
)

func newLoginRun(t *testing.T) *loginRun {
	r := &loginRun{t: t, folder: t.TempDir(), values: map[string]string{}}
	s := entratest.New(r)
	r.server = s
	registerFixtures(s)
	certificates := map[string]*x509.Certificate{}
	for variable, name := range map[string]string{"OTHER_CERT": otherClient, "SDKS_CERT": sdkClient, "TERRAFORMS_CERT": terraformClient} {
		certificate, key := entratest.ClientCertificate(name)
		certificates[name] = certificate
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		r.values[variable] = r.file(variable+".pem", slices.Concat(pemOf("CERTIFICATE", certificate.Raw), pemOf("PRIVATE KEY", der)))
	}
	trust := []entratest.FederatedCredential{{Issuer: s.Issuer, Subject: subject}, serviceConnection.FederatedCredential()}
	for _, audience := range []string{"", "api://AzureADTokenExchangeChina"} {
		trust = append(trust, entratest.FederatedCredential{Issuer: "https://token.actions.githubusercontent.com", Subject: gitHubSubject, Audience: audience})
	}
	for _, in := range []string{tenant, otherTenant} {
		for id, secret := range map[string]string{otherClient: otherSecret, sdkClient: "sdks-secret-in-tests", terraformClient: "terraforms-secret-in-tests"} {
			s.Register(entratest.App{Tenant: in, ClientID: id, Secrets: []string{secret}, Certificates: []*x509.Certificate{certificates[id]}, FederatedCredentials: trust})
		}
	}
	federated := s.Assertion(entratest.Claims{Subject: subject})
	r.values["TOKEN"] = r.file("federated-token", []byte(federated))
	r.values["TOKEN_LINE"] = r.file("federated-token-line", []byte(federated+"\n"))
	r.writeCertificates()
	endpoint, header := s.EnableAppService()
	oidcURI, systemToken := s.StartPipeline(serviceConnection)
	gitHubURL, gitHubToken := s.StartGitHubWorkflow(gitHubSubject)
	maps.Copy(r.values, map[string]string{
		"HOME": filepath.Join(r.folder, "home"), "ENTRA": s.URL, "ENDPOINT": endpoint, "HEADER": header, "OIDC_URI": oidcURI, "SYSTEM_TOKEN": systemToken,
		"GITHUB_URL": gitHubURL, "GITHUB_TOKEN": gitHubToken, "PORT": strconv.Itoa(freePort(t.Fatal)),
		"SERVER_ID": entratest.AKSServerID, "OTHER_SERVER_ID": otherServerID, "TENANT": tenant, "OTHER_TENANT": otherTenant, "CLIENT": client, "OTHER_CLIENT": otherClient,
		"SDKS_CLIENT": sdkClient, "TERRAFORMS_CLIENT": terraformClient, "PUBLIC": token.PublicClientID, "CLI": cliClient,
		"CAPITAL_TENANT": strings.ToUpper(tenant), "CAPITAL_CLIENT": strings.ToUpper(client), "SECRET": secret, "OTHER_SECRET": otherSecret,
		"ALICE": alice, "BOB": bob, "CAROL": carol, "PASSWORD": password, "OTHER_PASSWORD": otherPassword, "PFX_PASSWORD": certificatePassword, "ARM_ID": popCluster,
		"MACHINE": machineIdentity, "IDENTITY": assignedIdentity, "IDENTITY_ID": assignedIdentityID, "CONNECTION": serviceConnection.ID,
		"SUBSCRIPTION": subscription, "OTHER_SUBSCRIPTION": otherSubscription, "SUBSCRIPTION_NAME": "Dev and Test",
	})
	return r
}

// file writes one and returns its path.
func (r *loginRun) file(name string, content []byte) string {
	path := filepath.Join(r.folder, name)
	if err := os.WriteFile(path, content, 0o700); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// writeCertificates writes the first client's certificate in the forms that files have.
func (r *loginRun) writeCertificates() {
	content := map[string][]byte{}
	for _, name := range []string{"client.pem", "client.pfx", "client-aes256.pfx"} {
		var err error
		if content[name], err = os.ReadFile(filepath.Join(certificateDir, name)); err != nil {
			r.t.Fatal(err)
		}
	}
	certificate, rest := pem.Decode(content["client.pem"])
	key, _ := pem.Decode(rest)
	parsed, err := x509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		r.t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(parsed.(*rsa.PrivateKey))
	issuer, _ := entratest.ClientCertificate("issuer")
	own, above := pemOf("CERTIFICATE", certificate.Bytes), pemOf("CERTIFICATE", issuer.Raw)
	r.values["CERT"] = r.file("client.pem", content["client.pem"])
	r.values["CHAIN"] = r.file("chain.pem", slices.Concat(own, above, pemOf("PRIVATE KEY", key.Bytes)))
	r.values["CHAIN_FIRST"] = r.file("chain-first.pem", slices.Concat(pemOf("PRIVATE KEY", key.Bytes), above, own))
	r.values["PKCS1"] = r.file("pkcs1.pem", slices.Concat(own, pemOf("RSA PRIVATE KEY", pkcs1)))
	r.values["UNKNOWN_CERT"] = r.file("unknown.pem", untrustedCertificate())
	r.values["PFX"] = r.file("client.pfx", content["client.pfx"])
	r.values["P12"] = r.file("client.p12", content["client.pfx"])
	r.values["MODERN_PFX"] = r.file("modern.pfx", content["client-aes256.pfx"])
}

// freePort is a port of localhost that nobody listens at now.
func (r *loginRun) expand(text string) string {
	return os.Expand(text, func(name string) string {
		value, known := r.values[name]
		if !known {
			r.t.Fatalf("no value $%s", name)
		}
		return value
	})
}

// environment is what a program finds: a home, the programs of tests before others, and the
// emulator in the place of all hosts.
func (r *loginRun) environment(a invocation) []string {
	programs := filepath.Join(r.folder, "bin")
	for _, folder := range []string{programs, r.values["HOME"]} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			r.t.Fatal(err)
		}
	}
	executable, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range []string{"az", "azd", "signin", "keyless"} {
		if err := os.Symlink(executable, filepath.Join(programs, name)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.file("bin/xdg-open", []byte("#!/bin/sh\nexec signin \"$@\"\n"))
	all := map[string]string{
		"HOME": r.values["HOME"], "PATH": programs + ":/usr/bin:/bin", "HTTPS_PROXY": r.server.ProxyURL, "SSL_CERT_FILE": r.server.CAFile, "SSL_CERT_DIR": r.folder,
		"FAKE_LOG": filepath.Join(r.folder, "fake.log"), "SIGNIN_USER": alice, "SIGNIN_PASSWORD": password,
		"KUBERNETES_EXEC_INFO": strings.ReplaceAll(strings.TrimPrefix(nonInteractive, "KUBERNETES_EXEC_INFO="), "false", "true"),
	}
	for name, value := range a.env {
		all[name] = r.expand(value)
	}
	var env []string
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	return env
}

// run runs a program to its end.
func (r *loginRun) run(env []string, program string, args ...string) (stdout, words string, err error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	if !strings.Contains(program, "/") {
		program = filepath.Join(r.folder, "bin", program)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, r.folder, &out, &errs
	err = cmd.Run()
	if ctx.Err() != nil {
		r.t.Errorf("%s %q does not end: %s", program, args, errs.String())
	}
	return out.String(), errs.String(), err
}

// runLogin runs a program, by its command line up to get-token, and looks at everything that it
// does.
func runLogin(t *testing.T, a invocation, program ...string) loginOutcome {
	r := newLoginRun(t)
	defer func() {
		for _, end := range slices.Backward(r.cleanups) {
			end()
		}
	}()
	if a.login() == "msi" && a.env["IDENTITY_ENDPOINT"] == "" {
		t.Fatal("the metadata service of the machine that this runs on would be asked")
	}
	env := r.environment(a)
	if words := strings.Fields(a.setup); len(words) > 0 {
		for i := range words {
			words[i] = r.expand(words[i])
		}
		if _, said, err := r.run(env, words[0], words[1:]...); err != nil {
			t.Fatalf("%s: %v\n%s", a.setup, err, said)
		}
		if err := os.Remove(filepath.Join(r.folder, "fake.log")); err != nil {
			t.Fatal(err)
		}
		r.server.ResetCounters()
	}
	args := slices.Clone(program[1:])
	for _, arg := range a.args {
		args = append(args, r.expand(arg))
	}
	stop := r.approveDeviceCodes()
	stdout, words, err := r.run(env, program[0], args...)
	stop()
	o := loginOutcome{result: "failed", stderr: words, sent: r.sentRequests(), ran: r.toolRuns()}
	if err == nil {
		o.result = r.tokenResult(stdout)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, problem := range r.problems {
		o.sent = append(o.sent, sentRequest{line: invalidRequest + problem})
	}
	return o
}

// approveDeviceCodes lets a person sign in wherever a device code is given out, until it is
// stopped.
func (r *loginRun) approveDeviceCodes() (stop func()) {
	done := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if code, ok := r.server.WaitUserCode(50 * time.Millisecond); ok {
				if err := r.server.ApproveDevice(code, alice); err != nil {
					r.Errorf("%v", err)
				}
			}
		}
	})
	return func() { close(done); working.Wait() }
}

// toolRuns are the command lines of az, azd and the browser, without their process IDs.
func (r *loginRun) toolRuns() (ran []string) {
	log, _ := os.ReadFile(filepath.Join(r.folder, "fake.log")) // none: no tool
	for line := range strings.Lines(string(log)) {
		ran = append(ran, "ran "+line[:strings.LastIndex(line, " ")])
	}
	return ran
}

// Whatever get-token is asked, it sends what kubelogin sends, but for the differences that are
// wanted.
func TestLoginMatchesKubelogin(t *testing.T) {
	kubelogin, akslogin := kubeloginPath(t), programPath(t)
	cases := append(slices.Clone(loginCases), combinedLoginCases()...)
	var mutex sync.Mutex
	met, ran := map[string]int{}, 0
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				theirs := c.invocation()
				var here []string
				for _, d := range loginDifferences {
					if d.changeInput != nil && d.changeInput(&theirs) {
						here = append(here, d.name)
					}
				}
				want := runLogin(t, theirs, "keyless", kubelogin, "get-token")
				for _, d := range loginDifferences {
					if d.changeOutcome != nil && d.changeOutcome(c.invocation(), &want) {
						here = append(here, d.name)
					}
				}
				got := runLogin(t, c.invocation(), akslogin, "get-token")
				if slices.ContainsFunc(got.sent, func(r sentRequest) bool { return strings.HasPrefix(r.line, invalidRequest) }) {
					t.Errorf("sent what nobody should: %s", strings.Join(got.lines(), "\n  "))
				}
				if !slices.Equal(got.lines(), want.lines()) {
					t.Errorf("%s %s\ndid\n  %s\nwanted\n  %s\nakslogin: %skubelogin: %s%q %v", c.args, c.env,
						strings.Join(got.lines(), "\n  "), strings.Join(want.lines(), "\n  "), got.stderr, want.stderr, here, theirs)
				}
				mutex.Lock()
				defer mutex.Unlock()
				ran++
				for _, name := range here {
					met[name]++
				}
			})
		}
	})
	if ran < len(cases) {
		return
	}
	for _, d := range loginDifferences {
		if met[d.name] == 0 {
			t.Errorf("no case meets this difference: %s (%s)", d.name, d.reason)
		}
	}
}
