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

// loginRun is a run of a program with its own home and its own emulator.
type loginRun struct {
	t      *testing.T
	folder string
	server *entratest.Server
	values map[string]string // of the $NAMES in a loginCase

	mutex    sync.Mutex
	cleanups []func()
	problems []string // invalid requests that the emulator reports
}

// A loginRun is its emulator's entratest.TB: errors become a part of the outcome.

func (r *loginRun) Errorf(format string, args ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}
func (r *loginRun) Fatalf(format string, args ...any) { r.t.Fatalf(format, args...) }
func (r *loginRun) Cleanup(cleanup func())            { r.cleanups = append(r.cleanups, cleanup) }
func (r *loginRun) TempDir() string                   { return r.t.TempDir() }

// The clients whose values are in the variables of the SDK and of Terraform, and an Azure Arc
// cluster.
const (
	sdkClient       = "22222222-bbbb-4444-8888-000000000003"
	terraformClient = "22222222-bbbb-4444-8888-000000000004"

	popCluster = "/subscriptions/" + subscription +
		"/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/c"
)

// registerApps registers further clients, so that logins succeed with every combination of sources.
func (r *loginRun) registerApps() {
	s := r.server
	trust := []entratest.FederatedCredential{
		{Issuer: s.Issuer, Subject: subject},
		serviceConnection.FederatedCredential(),
	}
	for _, audience := range []string{"", "api://AzureADTokenExchangeChina"} {
		trust = append(trust, entratest.FederatedCredential{
			Issuer:  "https://token.actions.githubusercontent.com",
			Subject: gitHubSubject, Audience: audience,
		})
	}
	for _, c := range []struct{ id, secret, certificate string }{
		{otherClient, otherSecret, "OTHER_CERT"},
		{sdkClient, "sdks-secret-in-tests", "SDKS_CERT"},
		{terraformClient, "terraforms-secret-in-tests", "TERRAFORMS_CERT"},
	} {
		certificate, key := entratest.ClientCertificate(c.id)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			r.t.Fatal(err)
		}
		content := append(pemOf("CERTIFICATE", certificate.Raw), pemOf("PRIVATE KEY", der)...)
		r.values[c.certificate] = r.file(c.certificate+".pem", content)
		for _, t := range []string{tenant, otherTenant} {
			s.Register(entratest.App{
				Tenant: t, ClientID: c.id, Secrets: []string{c.secret},
				Certificates:         []*x509.Certificate{certificate},
				FederatedCredentials: trust,
			})
		}
	}
}

func newLoginRun(t *testing.T) *loginRun {
	r := &loginRun{t: t, folder: t.TempDir(), values: map[string]string{}}
	s := entratest.New(r)
	r.server = s
	registerFixtures(s)
	r.registerApps()
	federated := s.Assertion(entratest.Claims{Subject: subject})
	r.values["TOKEN"] = r.file("federated-token", []byte(federated))
	r.values["TOKEN_LINE"] = r.file("federated-token-line", []byte(federated+"\n"))
	r.writeCertificates()
	endpoint, header := s.EnableAppService()
	oidcURI, systemToken := s.StartPipeline(serviceConnection)
	gitHubURL, gitHubToken := s.StartGitHubWorkflow(gitHubSubject)
	maps.Copy(r.values, map[string]string{
		"HOME": filepath.Join(r.folder, "home"), "PORT": strconv.Itoa(freePort(t.Fatal)),

		"ENTRA": s.URL, "ENDPOINT": endpoint, "HEADER": header,
		"OIDC_URI": oidcURI, "SYSTEM_TOKEN": systemToken,
		"GITHUB_URL": gitHubURL, "GITHUB_TOKEN": gitHubToken,

		"SERVER_ID": entratest.AKSServerID, "OTHER_SERVER_ID": otherServerID,
		"TENANT": tenant, "OTHER_TENANT": otherTenant, "CAPITAL_TENANT": strings.ToUpper(tenant),
		"CLIENT": client, "OTHER_CLIENT": otherClient, "CAPITAL_CLIENT": strings.ToUpper(client),
		"SDKS_CLIENT": sdkClient, "TERRAFORMS_CLIENT": terraformClient,
		"PUBLIC": token.PublicClientID, "CLI": cliClient, "ARM_ID": popCluster,
		"SECRET": secret, "OTHER_SECRET": otherSecret, "PFX_PASSWORD": certificatePassword,
		"ALICE": alice, "BOB": bob, "CAROL": carol,
		"PASSWORD": password, "OTHER_PASSWORD": otherPassword,
		"MACHINE": machineIdentity, "IDENTITY": assignedIdentity, "IDENTITY_ID": assignedIdentityID,
		"CONNECTION": serviceConnection.ID, "SUBSCRIPTION": subscription,
		"OTHER_SUBSCRIPTION": otherSubscription, "SUBSCRIPTION_NAME": "Dev and Test",
	})
	return r
}

// file writes a file in the run's folder and returns its path.
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

// writeCertificates writes the first client's certificate in several file formats.
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
	leafPEM, issuerPEM := pemOf("CERTIFICATE", certificate.Bytes), pemOf("CERTIFICATE", issuer.Raw)
	keyPEM, pkcs1PEM := pemOf("PRIVATE KEY", key.Bytes), pemOf("RSA PRIVATE KEY", pkcs1)
	r.values["CERT"] = r.file("client.pem", content["client.pem"])
	r.values["CHAIN"] = r.file("chain.pem", slices.Concat(leafPEM, issuerPEM, keyPEM))
	r.values["CHAIN_FIRST"] = r.file("chain-first.pem", slices.Concat(keyPEM, issuerPEM, leafPEM))
	r.values["PKCS1"] = r.file("pkcs1.pem", slices.Concat(leafPEM, pkcs1PEM))
	r.values["UNKNOWN_CERT"] = r.file("unknown.pem", untrustedCertificate())
	r.values["PFX"] = r.file("client.pfx", content["client.pfx"])
	r.values["P12"] = r.file("client.p12", content["client.pfx"])
	r.values["MODERN_PFX"] = r.file("modern.pfx", content["client-aes256.pfx"])
}

// expand replaces the $NAMES in a text by their values.
func (r *loginRun) expand(text string) string {
	return os.Expand(text, func(name string) string {
		value, known := r.values[name]
		if !known {
			r.t.Fatalf("no value $%s", name)
		}
		return value
	})
}

// environment returns the environment of a program, with the fake tools in PATH and the emulator in
// the place of all hosts.
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
	for _, name := range []string{"az", "azd", "signin", "no-keyring"} {
		if err := os.Symlink(executable, filepath.Join(programs, name)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.file("bin/xdg-open", []byte("#!/bin/sh\nexec signin \"$@\"\n"))
	execInfo := strings.TrimPrefix(nonInteractive, "KUBERNETES_EXEC_INFO=")
	variables := map[string]string{
		"HOME": r.values["HOME"], "PATH": programs + ":/usr/bin:/bin",
		"HTTPS_PROXY":   r.server.ProxyURL,
		"SSL_CERT_FILE": r.server.CAFile, "SSL_CERT_DIR": r.folder,
		"FAKE_LOG":    filepath.Join(r.folder, "fake.log"),
		"SIGNIN_USER": alice, "SIGNIN_PASSWORD": password,
		"KUBERNETES_EXEC_INFO": strings.ReplaceAll(execInfo, "false", "true"),
	}
	for name, value := range a.env {
		variables[name] = r.expand(value)
	}
	var env []string
	for name, value := range variables {
		env = append(env, name+"="+value)
	}
	return env
}

// run runs a program, which must end within two minutes.
func (r *loginRun) run(
	env []string, program string, args ...string,
) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	var outBuf, errBuf bytes.Buffer
	if !strings.Contains(program, "/") {
		program = filepath.Join(r.folder, "bin", program)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, r.folder, &outBuf, &errBuf
	err = cmd.Run()
	if ctx.Err() != nil {
		r.t.Errorf("%s %q does not end: %s", program, args, errBuf.String())
	}
	return outBuf.String(), errBuf.String(), err
}

// runLogin runs a program with the arguments of an invocation, and returns all that it did. program
// is its command line up to get-token.
func runLogin(t *testing.T, a invocation, program ...string) loginOutcome {
	r := newLoginRun(t)
	defer func() {
		for _, cleanup := range slices.Backward(r.cleanups) {
			cleanup()
		}
	}()
	if a.login() == "msi" && a.env["IDENTITY_ENDPOINT"] == "" {
		t.Fatal("this would send a request to the IMDS of the test machine")
	}
	env := r.environment(a)
	if words := strings.Fields(a.setup); len(words) > 0 {
		for i := range words {
			words[i] = r.expand(words[i])
		}
		if _, stderr, err := r.run(env, words[0], words[1:]...); err != nil {
			t.Fatalf("%s: %v\n%s", a.setup, err, stderr)
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
	stdout, stderr, err := r.run(env, program[0], args...)
	stop()
	o := loginOutcome{result: "failed", stderr: stderr, sent: r.sentRequests(), ran: r.toolRuns()}
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

// approveDeviceCodes approves all device codes as alice until stop is called.
func (r *loginRun) approveDeviceCodes() (stop func()) {
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
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
	return func() { close(done); group.Wait() }
}

// toolRuns returns the command lines of az, azd and the browser, without their process IDs.
func (r *loginRun) toolRuns() (ran []string) {
	log, _ := os.ReadFile(filepath.Join(r.folder, "fake.log")) // missing if no tool ran
	for line := range strings.Lines(string(log)) {
		ran = append(ran, "ran "+line[:strings.LastIndex(line, " ")])
	}
	return ran
}

// TestLoginMatchesKubelogin checks that get-token sends the requests that kubelogin sends, except
// for the intended differences. Each of those must occur.
func TestLoginMatchesKubelogin(t *testing.T) {
	skipIfShort(t, "kubelogin takes long to build and to compare with")
	kubeloginBin, aksloginBin := kubeloginPath(t), programPath(t)
	cases := append(slices.Clone(loginCases), combinedLoginCases()...)
	var mutex sync.Mutex
	counts, ran := map[string]int{}, 0
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				names := c.compare(t, kubeloginBin, aksloginBin)
				mutex.Lock()
				defer mutex.Unlock()
				ran++
				for _, name := range names {
					counts[name]++
				}
			})
		}
	})
	if ran < len(cases) {
		return
	}
	for _, d := range loginDifferences {
		if counts[d.name] == 0 {
			t.Errorf("no case has this difference: %s (%s)", d.name, d.reason)
		}
	}
}

// compare compares the outcomes of both programs, and returns the names of the differences that
// applied.
func (c loginCase) compare(t *testing.T, kubeloginBin, aksloginBin string) (differences []string) {
	input := c.invocation() // for kubelogin
	for _, d := range loginDifferences {
		if d.changeInput != nil && d.changeInput(&input) {
			differences = append(differences, d.name)
		}
	}
	want := runLogin(t, input, "no-keyring", kubeloginBin, "get-token")
	for _, d := range loginDifferences {
		if d.changeOutcome != nil && d.changeOutcome(c.invocation(), &want) {
			differences = append(differences, d.name)
		}
	}
	got := runLogin(t, c.invocation(), aksloginBin, "get-token")
	gotText, wantText := strings.Join(got.lines(), "\n  "), strings.Join(want.lines(), "\n  ")
	isInvalid := func(r sentRequest) bool { return strings.HasPrefix(r.line, invalidRequest) }
	if slices.ContainsFunc(got.sent, isInvalid) {
		t.Errorf("sent an invalid request: %s", gotText)
	}
	if gotText != wantText {
		t.Errorf("%s %s\ndid\n  %s\nwant\n  %s\nakslogin: %skubelogin: %s%q %v",
			c.args, c.env, gotText, wantText, got.stderr, want.stderr, differences, input)
	}
	return differences
}
