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

// scriptKeys are the keys of shell scripts in CI files.
var scriptKeys = []string{"run", "script", "before_script", "after_script", "inlineScript", "bash"}

// shellScripts returns all shell scripts in a part of a document.
func shellScripts(part any) (scripts []string) {
	switch v := part.(type) {
	case map[string]any:
		for key, value := range v {
			if slices.Contains(scriptKeys, key) {
				scripts = append(scripts, strings.Join(stringList(value), "\n"))
			} else {
				scripts = append(scripts, shellScripts(value)...)
			}
		}
	case []any:
		for _, value := range v {
			scripts = append(scripts, shellScripts(value)...)
		}
	}
	return scripts
}

// stringList returns the strings in a list. A single string counts as a list of one.
func stringList(value any) (all []string) {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	for _, v := range list {
		all = append(all, toString(v))
	}
	return all
}

// ciJobs are the CI files, with the environment of the job in each, and the mode of its federated
// token's file. A file with several scripts has nil; its scripts are not run.
var ciJobs = map[string]func(s *entratest.Server) (env []string, mode string){
	"gitlab-ci.yml": func(s *entratest.Server) ([]string, string) {
		assertion := s.Assertion(entratest.Claims{Subject: subject})
		return []string{"AZURE_ID_TOKEN=" + assertion}, "600\n"
	},
	"azure-pipelines.yml": func(s *entratest.Server) ([]string, string) {
		uri, systemToken := s.StartPipeline(serviceConnection)
		return []string{
			"AAD_LOGIN_METHOD=azurepipelines",
			"SYSTEM_OIDCREQUESTURI=" + uri, "SYSTEM_ACCESSTOKEN=" + systemToken,
			"AZURESUBSCRIPTION_CLIENT_ID=" + client, "AZURESUBSCRIPTION_TENANT_ID=" + tenant,
			"AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=" + serviceConnection.ID,
		}, ""
	},
	"github-actions.yaml": nil,
}

// TestExampleCIScripts checks that the scripts in CI files are valid shell, and that akslogin can
// log in there. If a script writes the federated token to a file, the file must be readable by its
// owner only, and removed at the end.
func TestExampleCIScripts(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
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
			scripts := shellScripts(document)
			for _, script := range scripts {
				if out, err := exec.Command(bash, "-n", "-c", script).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}
			switch {
			case len(scripts) == 0, job != nil && len(scripts) != 1:
				t.Errorf("%d scripts", len(scripts))
			case job != nil:
				runSnippet(t, bash, scripts[0], job)
			}
		})
	}
}

// runSnippet runs a script with a fake kubectl, which prints the mode of the federated token's file
// and runs its plugin, and a fake go, which installs nothing.
func runSnippet(
	t *testing.T, bash, script string, job func(*entratest.Server) (env []string, mode string),
) {
	s := entratest.New(t)
	registerFixtures(s)
	dir := t.TempDir()
	kubectl := fmt.Sprintf(`#!/bin/sh -e
[ -z "$AZURE_FEDERATED_TOKEN_FILE" ] || stat -c %%a "$AZURE_FEDERATED_TOKEN_FILE" >&2
exec %s get-token --login workloadidentity --tenant-id %s --client-id %s
`, programPath(t), tenant, client)
	for name, content := range map[string]string{"kubectl": kubectl, "go": "#!/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	temp := filepath.Join(dir, "temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, "-c", script)
	env, mode := job(s)
	cmd.Env = append(env,
		"PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir,
		"TMPDIR="+temp, "AGENT_TEMPDIRECTORY="+temp,
		"HTTPS_PROXY="+s.ProxyURL, "SSL_CERT_FILE="+s.CAFile)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.String() != mode {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var credential struct{ Status struct{ Token string } }
	if err := json.Unmarshal(out, &credential); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(credential.Status.Token, entratest.AKSServerID); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// moduleFault matches go's errors about a module that the network does not cause.
var moduleFault = regexp.MustCompile(`go\.sum|go\.mod|checksum|go mod tidy|syntax`)

// goInExample returns a go command in examples/client-go that does not change go.mod and go.sum.
func goInExample(args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(repository, "examples", "client-go")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0")
	return cmd
}

// needExampleModules skips a test if the modules of examples/client-go cannot be downloaded.
func needExampleModules(t *testing.T) {
	t.Helper()
	// Unlike go mod download, go list does not repair go.sum.
	out, err := goInExample("list", "-deps", "./...").CombinedOutput()
	if err != nil && !moduleFault.Match(out) {
		skipUnlessRequired(t, "cannot download the modules of examples/client-go: "+string(out))
	}
}

// TestExamplePrograms checks that the two programs of examples/client-go build, pass vet, list pods
// and share a token, and that the second one gets a new token when its token expires.
func TestExamplePrograms(t *testing.T) {
	skipIfShort(t, "building client-go for the first time takes a minute")
	needExampleModules(t)
	bin := t.TempDir()
	for _, args := range [][]string{
		{"build", "-buildvcs=false", "-o", bin + "/", "./..."},
		{"vet", "./..."},
	} {
		if out, err := goInExample(args...).CombinedOutput(); err != nil {
			t.Fatalf("in examples/client-go (try go mod tidy there): go %s: %v\n%s", args, err, out)
		}
	}
	s := entratest.New(t)
	registerFixtures(s)
	p := &examplePrograms{bin: bin, dir: t.TempDir(), entra: s, api: newPodsServer(t, s)}
	p.prepare(t)
	for _, program := range [][]string{p.exec(), p.token()} {
		out, err := p.command(program...).CombinedOutput()
		if err != nil || string(out) != podName+"\n" {
			t.Errorf("%s: %v: %s", program, err, out)
		}
	}
	if s.TokenRequests() != 1 {
		t.Errorf("%d token requests, want one for both", s.TokenRequests())
	}
	t.Run("token expires", p.testNewToken)
	t.Run("login fails", p.testLoginError)
}

// TestLibraryPageCompiles checks that the blocks of Go code in docs/library.md are the files of one
// package that compiles. The module of examples/client-go has what they import.
func TestLibraryPageCompiles(t *testing.T) {
	skipIfShort(t, "building client-go for the first time takes a minute")
	needExampleModules(t)
	page, err := os.ReadFile(filepath.Join(repository, "docs", "library.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) == 0 {
		t.Fatal("no Go code")
	}
	module, err := filepath.Abs(filepath.Join(repository, "examples", "client-go"))
	if err != nil {
		t.Fatal(err)
	}
	dir, overlay := t.TempDir(), struct{ Replace map[string]string }{map[string]string{}}
	for i, block := range blocks {
		name := fmt.Sprintf("block%d.go", i+1)
		file := filepath.Join(dir, name)
		source := append([]byte("package page\n\n"), block[1]...)
		if err := os.WriteFile(file, source, 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(module, "page", name)] = file
	}
	raw, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := goInExample("build", "-overlay", overlayFile, "./page").CombinedOutput()
	if err != nil {
		t.Errorf("go build: %v\n%s", err, out)
	}
}

// examplePrograms are the two programs of examples/client-go, built in a folder.
type examplePrograms struct {
	bin   string // the folder of the programs
	dir   string // the folder of their files
	entra *entratest.Server
	api   *httptest.Server
}

// prepare writes the files that the programs read. The kubeconfig is
// examples/kubectl/kubeconfig.yaml with its placeholders filled in.
func (p *examplePrograms) prepare(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, "examples", "kubectl", "kubeconfig.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	caPlaceholder := []byte("<THE CLUSTER'S CA CERTIFICATE, PEM IN BASE64>")
	config, err := clientcmd.Load(bytes.ReplaceAll(raw, caPlaceholder, nil))
	if err != nil {
		t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.api.Certificate().Raw})
	context := config.Contexts[config.CurrentContext]
	context.Namespace = podNamespace
	cluster := config.Clusters[context.Cluster]
	cluster.Server, cluster.CertificateAuthorityData = p.api.URL, ca
	setArgs(config.AuthInfos[context.AuthInfo].Exec, map[string]string{
		"--tenant-id": tenant, "--client-id": client,
	})
	assertion := p.entra.Assertion(entratest.Claims{Subject: subject})
	for name, content := range map[string][]byte{"ca.crt": ca, "token": []byte(assertion)} {
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

// setArgs replaces the values of flags in an exec config.
func setArgs(exec *clientcmdapi.ExecConfig, flags map[string]string) {
	for flag, value := range flags {
		exec.Args[slices.Index(exec.Args, flag)+1] = value
	}
}

// exec is the command line of the first program, which runs akslogin as a plugin.
func (p *examplePrograms) exec() []string {
	return []string{"exec", "-kubeconfig", filepath.Join(p.dir, "kubeconfig.yaml")}
}

// token is the command line of the second program, which uses the package token.
func (p *examplePrograms) token(more ...string) []string {
	ca := filepath.Join(p.dir, "ca.crt")
	return append([]string{
		"token", "-server", p.api.URL, "-certificate-authority", ca, "-namespace", podNamespace,
	}, more...)
}

// command returns a command with the emulator as Entra ID, behind the public cloud's host names. Go
// uses no proxy for the API server, since that is at 127.0.0.1.
func (p *examplePrograms) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, args[0]), args[1:]...)
	cmd.Env = []string{
		"PATH=" + p.bin, "HOME=" + p.dir,
		"HTTPS_PROXY=" + p.entra.ProxyURL, "SSL_CERT_FILE=" + p.entra.CAFile,
		"AZURE_TENANT_ID=" + tenant, "AZURE_CLIENT_ID=" + client,
		"AZURE_FEDERATED_TOKEN_FILE=" + filepath.Join(p.dir, "token"),
	}
	return cmd
}

// testNewToken checks that a running program without a cache keeps its token in memory, and asks
// for a new one when it expires.
func (p *examplePrograms) testNewToken(t *testing.T) {
	p.entra.ResetCounters()
	p.listRepeatedly(t, func(lines int) bool { return lines == 20 })
	if p.entra.TokenRequests() != 1 {
		t.Errorf("%d token requests for 20 lists", p.entra.TokenRequests())
	}
	p.entra.SetTokenLifetime(2 * time.Second)
	p.listRepeatedly(t, func(int) bool { return p.entra.TokenRequests() >= 4 })
}

// listRepeatedly runs the second program until it has printed enough lines.
func (p *examplePrograms) listRepeatedly(t *testing.T, enough func(lines int) bool) {
	t.Helper()
	cmd := p.command(p.token("-every", "10ms")...)
	cmd.Env = append(cmd.Env, "HOME=/dev/null", "TMPDIR=/dev/null") // no cache; the last HOME counts
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // its error is that it was killed
	defer cmd.Process.Kill()
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
	lines := 0
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		if lines++; scanner.Text() != podName {
			t.Fatalf("it printed %q", scanner.Text())
		}
		if enough(lines) {
			return
		}
	}
	t.Errorf("it ended after %d lines and %d token requests", lines, p.entra.TokenRequests())
}

// testLoginError checks that both programs print the error of a failed login.
func (p *examplePrograms) testLoginError(t *testing.T) {
	for _, program := range [][]string{p.exec(), p.token()} {
		p.entra.FailNext(1, entratest.Failure{AADSTS: 700016})
		cmd := p.command(program...)
		cmd.Env = append(cmd.Env, "HOME="+t.TempDir()) // an empty cache
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		failed := errors.As(err, &exit) && exit.ExitCode() == 1
		if !failed || !bytes.Contains(out, []byte("AADSTS700016")) {
			t.Errorf("%s: %v: %s", program, err, out)
		}
	}
}

// TestExamplesMatchGeneratedOutput checks that the files in the examples end with the program's
// current output.
func TestExamplesMatchGeneratedOutput(t *testing.T) {
	const folder = repository + "/examples/astro"
	for file, format := range map[string]string{"kubeconfig.yaml": "yaml", ".env": "airflow-env"} {
		cmd := exec.Command(programPath(t), "kubeconfig",
			"--kubeconfig", filepath.Join(folder, "kubeconfig.yaml"), "-o", format)
		output, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(content, output) {
			t.Errorf("%s does not end with\n%s", file, output)
		}
	}
}
