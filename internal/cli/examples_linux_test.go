package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// scriptKeys are where CI files have shell.
var scriptKeys = []string{"run", "script", "before_script", "after_script", "inlineScript", "bash"}

// shellScripts are all shell below a place in a document.
func shellScripts(in any) (all []string) {
	switch v := in.(type) {
	case map[string]any:
		for key, below := range v {
			if slices.Contains(scriptKeys, key) {
				all = append(all, strings.Join(stringList(below), "\n"))
			} else {
				all = append(all, shellScripts(below)...)
			}
		}
	case []any:
		for _, below := range v {
			all = append(all, shellScripts(below)...)
		}
	}
	return all
}

// stringList are a string, or a list of them.
func stringList(in any) (all []string) {
	list, isList := in.([]any)
	if !isList {
		list = []any{in}
	}
	for _, line := range list {
		all = append(all, toString(line))
	}
	return all
}

// ciJobs are what a CI system gives to a job's one script, and what akslogin's stand-in for kubectl
// says of the federated token's file; nil where the file has several scripts.
var ciJobs = map[string]func(s *entratest.Server) (env []string, says string){
	"gitlab-ci.yml": func(s *entratest.Server) ([]string, string) {
		return []string{"AZURE_ID_TOKEN=" + s.Assertion(entratest.Claims{Subject: subject})}, "600\n"
	},
	"azure-pipelines.yml": func(s *entratest.Server) ([]string, string) {
		uri, systemToken := s.StartPipeline(serviceConnection)
		return []string{
			"AAD_LOGIN_METHOD=azurepipelines", "SYSTEM_OIDCREQUESTURI=" + uri, "SYSTEM_ACCESSTOKEN=" + systemToken,
			"AZURESUBSCRIPTION_CLIENT_ID=" + client, "AZURESUBSCRIPTION_TENANT_ID=" + tenant, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=" + serviceConnection.ID,
		}, ""
	},
	"github-actions.yaml": nil,
}

// The shell in CI files is shell, and akslogin logs in there; where it makes a file of the
// federated token, nobody else can read that, and it goes at the end.
func TestExampleCIScripts(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	for file, job := range ciJobs {
		t.Run(file, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(repository, "examples", "kubectl", file))
			if err != nil {
				t.Fatal(err)
			}
			var document any
			if err := yaml.Unmarshal(raw, &document); err != nil {
				t.Fatal(err)
			}
			all := shellScripts(document)
			for _, script := range all {
				if out, err := exec.Command(bash, "-n", "-c", script).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}
			switch {
			case len(all) == 0, job != nil && len(all) != 1:
				t.Errorf("%d scripts", len(all))
			case job != nil:
				runSnippet(t, bash, all[0], job)
			}
		})
	}
}

// runSnippet runs a script with a kubectl that does no more than call its plugin, and a go that
// installs nothing.
func runSnippet(t *testing.T, bash, script string, job func(*entratest.Server) ([]string, string)) {
	s := entratest.New(t)
	registerFixtures(s)
	dir := t.TempDir()
	plugin := fmt.Sprintf("#!/bin/sh -e\n[ -z \"$AZURE_FEDERATED_TOKEN_FILE\" ] || stat -c %%a \"$AZURE_FEDERATED_TOKEN_FILE\" >&2\nexec %s get-token --login workloadidentity --tenant-id %s --client-id %s\n", programPath(t), tenant, client)
	for name, content := range map[string]string{"kubectl": plugin, "go": "#!/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	temp := filepath.Join(dir, "temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, "-c", script)
	env, says := job(s)
	cmd.Env = append(env,
		"PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "TMPDIR="+temp, "AGENT_TEMPDIRECTORY="+temp, "HTTPS_PROXY="+s.ProxyURL, "SSL_CERT_FILE="+s.CAFile,
	)
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil || words.String() != says {
		t.Fatalf("%v: %s", err, words.String())
	}
	var credential struct{ Status struct{ Token string } }
	if err := json.Unmarshal(out, &credential); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(credential.Status.Token, entratest.AKSServerID); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// moduleFault is what go says of a module where the network is not to blame.
var moduleFault = regexp.MustCompile(`go\.sum|go\.mod|checksum|go mod tidy|syntax`)

// goInExample is a go command in examples/client-go, as it is there: go.mod and go.sum have to be
// complete.
func goInExample(args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(repository, "examples", "client-go")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0")
	return cmd
}

// The two programs of examples/client-go build, vet, and list pods, and share their tokens. The
// second one goes on when its token ends.
func TestExamplePrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("building client-go takes a minute where it was never built")
	}
	if out, err := goInExample("list", "-deps", "./...").CombinedOutput(); err != nil && !moduleFault.Match(out) { // unlike mod download it mends nothing
		skipUnlessRequired(t, "no modules for examples/client-go to be had here: "+string(out))
	}
	bin := t.TempDir()
	for _, args := range [][]string{{"build", "-buildvcs=false", "-o", bin + "/", "./..."}, {"vet", "./..."}} {
		if out, err := goInExample(args...).CombinedOutput(); err != nil {
			t.Fatalf("in examples/client-go (does go mod tidy help there?): go %s: %v\n%s", args, err, out)
		}
	}
	s := entratest.New(t)
	registerFixtures(s)
	p := &examplePrograms{bin: bin, dir: t.TempDir(), entra: s, api: newPodsServer(t, s)}
	p.prepare(t)
	for _, program := range [][]string{p.exec(), p.token()} {
		if out, err := p.command(program...).CombinedOutput(); err != nil || string(out) != podName+"\n" {
			t.Errorf("%s: %v: %s", program, err, out)
		}
	}
	if s.TokenRequests() != 1 {
		t.Errorf("%d token requests, want one for both", s.TokenRequests())
	}
	t.Run("goes on", p.testRenewal)
	t.Run("says why", p.testLoginError)
}

// examplePrograms are both of them, in a pod.
type examplePrograms struct {
	bin, dir string
	entra    *entratest.Server
	api      *httptest.Server
}

// prepare fills in the blanks of examples/kubectl/kubeconfig.yaml.
func (p *examplePrograms) prepare(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, "examples", "kubectl", "kubeconfig.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Load(bytes.ReplaceAll(raw, []byte("<THE CLUSTER'S CA CERTIFICATE, PEM IN BASE64>"), nil))
	if err != nil {
		t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.api.Certificate().Raw})
	context := config.Contexts[config.CurrentContext]
	context.Namespace = podNamespace
	cluster, stanza := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo].Exec
	cluster.Server, cluster.CertificateAuthorityData = p.api.URL, ca
	setArgs(stanza, map[string]string{"--tenant-id": tenant, "--client-id": client})
	for name, content := range map[string][]byte{"ca.crt": ca, "token": []byte(p.entra.Assertion(entratest.Claims{Subject: subject}))} {
		if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(programPath(t), filepath.Join(p.bin, "akslogin")); err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.WriteToFile(*config, filepath.Join(p.dir, "kubeconfig.yaml")); err != nil {
		t.Fatal(err)
	}
}

func setArgs(stanza *clientcmdapi.ExecConfig, flags map[string]string) {
	for flag, value := range flags {
		stanza.Args[slices.Index(stanza.Args, flag)+1] = value
	}
}

func (p *examplePrograms) exec() []string {
	return []string{"exec", "-kubeconfig", filepath.Join(p.dir, "kubeconfig.yaml")}
}

func (p *examplePrograms) token(more ...string) []string {
	return append([]string{"token", "-server", p.api.URL, "-certificate-authority", filepath.Join(p.dir, "ca.crt"), "-namespace", podNamespace}, more...)
}

// command runs one where Entra ID is the emulator, behind the public cloud's names. Go asks no
// proxy for the API server at 127.0.0.1.
func (p *examplePrograms) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, args[0]), args[1:]...)
	cmd.Env = []string{
		"PATH=" + p.bin, "HOME=" + p.dir, "HTTPS_PROXY=" + p.entra.ProxyURL, "SSL_CERT_FILE=" + p.entra.CAFile,
		"AZURE_TENANT_ID=" + tenant, "AZURE_CLIENT_ID=" + client, "AZURE_FEDERATED_TOKEN_FILE=" + filepath.Join(p.dir, "token"),
	}
	return cmd
}

// testRenewal: a program that runs on keeps its token in memory where no cache can be, and asks for
// the next one when that ends.
func (p *examplePrograms) testRenewal(t *testing.T) {
	p.entra.ResetCounters()
	p.listRepeatedly(t, func(lines int) bool { return lines == 20 })
	if p.entra.TokenRequests() != 1 {
		t.Errorf("%d token requests for 20 lists", p.entra.TokenRequests())
	}
	p.entra.SetTokenLifetime(2 * time.Second)
	p.listRepeatedly(t, func(int) bool { return p.entra.TokenRequests() >= 4 }) // the line may still be the token's before
}

// listRepeatedly runs the second program until enough lines came.
func (p *examplePrograms) listRepeatedly(t *testing.T, enough func(lines int) bool) {
	t.Helper()
	cmd := p.command(p.token("-every", "10ms")...)
	cmd.Env = append(cmd.Env, "HOME=/dev/null") // the last one counts
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // it was killed; what it says is of no interest
	defer cmd.Process.Kill()
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
	lines := 0
	for printed := bufio.NewScanner(out); printed.Scan(); {
		if lines++; printed.Text() != podName {
			t.Fatalf("it printed %q", printed.Text())
		}
		if enough(lines) {
			return
		}
	}
	t.Errorf("it ended after %d lines and %d token requests", lines, p.entra.TokenRequests())
}

// testLoginError: both say akslogin's words where a login fails.
func (p *examplePrograms) testLoginError(t *testing.T) {
	for _, program := range [][]string{p.exec(), p.token()} {
		p.entra.FailNext(1, entratest.Failure{AADSTS: 700016})
		cmd := p.command(program...)
		cmd.Env = append(cmd.Env, "HOME="+t.TempDir()) // none is cached
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !bytes.Contains(out, []byte("AADSTS700016")) {
			t.Errorf("%s: %v: %s", program, err, out)
		}
	}
}

// What the examples hold is what the program writes today.
func TestExamplesMatchGeneratedOutput(t *testing.T) {
	const file = repository + "/examples/astro/kubeconfig.yaml"
	for holder, form := range map[string]string{file: "yaml", repository + "/examples/astro/.env": "airflow-env"} {
		out, err := exec.Command(programPath(t), "kubeconfig", "--kubeconfig", file, "--command", "/usr/local/bin/akslogin", "-o", form).Output()
		if err != nil {
			t.Fatal(err)
		}
		held, err := os.ReadFile(holder)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(held), string(out)) {
			t.Errorf("%s does not hold\n%s", holder, out)
		}
	}
}
