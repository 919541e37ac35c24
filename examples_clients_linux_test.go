package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/kube"
)

// clientExamples are the files of examples/kubectl and examples/client-go, each with what holds it to its purpose.
var clientExamples = map[string]func(t *testing.T, content []byte){
	"kubectl/README.md":           readme,
	"kubectl/kubeconfig.yaml":     exampleKubeconfig,
	"kubectl/pod.yaml":            structured,
	"kubectl/github-actions.yaml": structured,
	"kubectl/gitlab-ci.yml":       structured,
	"kubectl/azure-pipelines.yml": structured,
	"kubectl/argocd-cluster.yaml": argoCluster,
	"client-go/README.md":         readme,
	"client-go/go.mod":            ownModule,
	"client-go/go.sum":            usedByBuild,
	"client-go/exec/main.go":      usedByBuild,
	"client-go/token/main.go":     usedByBuild,
}

func TestClientExamples(t *testing.T) {
	for _, folder := range []string{"kubectl", "client-go"} {
		err := filepath.WalkDir(filepath.Join("examples", folder), func(path string, d fs.DirEntry, err error) error {
			name := strings.TrimPrefix(path, "examples/")
			if err == nil && !d.IsDir() && clientExamples[name] == nil {
				t.Errorf("no check claims %s", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for name, check := range clientExamples {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join("examples", name))
			if err != nil {
				t.Fatal(err)
			}
			onlyKnownBlanks(t, content)
			check(t, content)
		})
	}
}

var (
	blank     = regexp.MustCompile(`<[^<>\n]+>`)
	goodBlank = regexp.MustCompile(`^<[A-Z][A-Z0-9 ,']+(https://\.\.\.)?>$`)
)

const noGUID = "00000000-0000-0000-0000-000000000000"

// onlyKnownBlanks: readers know what to replace by its zeros or its capitals, so nothing else that is to be replaced may stand there.
func onlyKnownBlanks(t *testing.T, content []byte) {
	for _, id := range guid.FindAllString(string(content), -1) {
		if id != noGUID {
			t.Errorf("%s is not all zeros", id)
		}
	}
	for _, b := range blank.FindAllString(string(content), -1) {
		if !goodBlank.MatchString(b) {
			t.Errorf("%s is not <LIKE THIS>", b)
		}
	}
}

// readme: TestReadmeCommandsParse reads its command lines.
func readme(*testing.T, []byte) {}

// stanzaOfExample: the login is one that can be had without a person, by IDs that are to be replaced.
func stanzaOfExample(t *testing.T, e *kube.Exec) {
	t.Helper()
	g, err := readStanza(e)
	want := given{"login": "workloadidentity", "tenant-id": noGUID, "client-id": noGUID}
	if err != nil || !reflect.DeepEqual(g, want) || e.Args[0] != "get-token" {
		t.Errorf("%q reads as %v, %v; want %v", e.Args, g, err, want)
	}
	if e.Command != "akslogin" || e.InstallHint == "" || !strings.HasPrefix(e.APIVersion, "client.authentication.k8s.io/v1") {
		t.Errorf("%+v", e)
	}
}

func exampleKubeconfig(t *testing.T, content []byte) {
	k, err := kube.Parse("kubeconfig.yaml", content)
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Contexts) != 1 || len(k.Clusters) != 1 || len(k.Users) != 1 || k.Users[0].Exec == nil {
		t.Fatalf("%+v", k)
	}
	at, user := k.Contexts[0], k.Users[0]
	if k.CurrentContext != at.Name || at.Cluster != k.Clusters[0].Name || at.User != user.Name || user.Exec.InteractiveMode != "Never" {
		t.Errorf("%+v", k)
	}
	stanzaOfExample(t, user.Exec)
}

func argoCluster(t *testing.T, content []byte) {
	structured(t, content)
	// https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters
	var config struct {
		ExecProviderConfig struct {
			APIVersion, Command, InstallHint string
			Args                             []string
			Env                              map[string]string
		}
		TLSClientConfig struct{ CAData string }
	}
	text, _ := at(documents(t, content)[0], "stringData", "config").(string)
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&config); err != nil {
		t.Fatal(err)
	}
	e := config.ExecProviderConfig
	stanzaOfExample(t, &kube.Exec{APIVersion: e.APIVersion, Command: e.Command, Args: e.Args, InstallHint: e.InstallHint})
	if config.TLSClientConfig.CAData == "" || !filepath.IsAbs(e.Env["AKSLOGIN_CACHE_DIR"]) {
		t.Errorf("%+v", config)
	}
}

// value is where in a file's documents what is expected; in paths a number is an index.
type value struct {
	path []string
	want any
}

// values are what makes each file do what it is for, by test name.
var values = map[string][]value{
	"pod.yaml": {
		{[]string{"0", "kind"}, "ServiceAccount"},
		{[]string{"0", "metadata", "name"}, "worker"},
		{[]string{"0", "metadata", "annotations", "azure.workload.identity/client-id"}, noGUID},
		{[]string{"1", "kind"}, "Pod"},
		{[]string{"1", "metadata", "labels", "azure.workload.identity/use"}, "true"}, // a bool would be refused
		{[]string{"1", "spec", "serviceAccountName"}, "worker"},
		{[]string{"1", "spec", "containers", "0", "env", "0"}, map[string]any{"name": "KUBECONFIG", "value": "/etc/kubeconfig/config"}},
		{[]string{"1", "spec", "containers", "0", "env", "1"}, map[string]any{"name": "AKSLOGIN_CACHE_DIR", "value": "/cache/akslogin"}},
		{[]string{"1", "spec", "containers", "0", "volumeMounts", "0"}, map[string]any{"name": "kubeconfig", "mountPath": "/etc/kubeconfig", "readOnly": true}},
		{[]string{"1", "spec", "containers", "0", "volumeMounts", "1"}, map[string]any{"name": "cache", "mountPath": "/cache"}},
		{[]string{"1", "spec", "volumes", "0"}, map[string]any{"name": "kubeconfig", "configMap": map[string]any{"name": "kubeconfig"}}},
		{[]string{"1", "spec", "volumes", "1", "name"}, "cache"},
	},
	"github-actions.yaml": {
		{[]string{"0", "on", "push", "branches"}, []any{"main"}},
		{[]string{"0", "permissions"}, map[string]any{"contents": "read", "id-token": "write"}},
		{[]string{"0", "jobs", "pods", "runs-on"}, "ubuntu-latest"},
		{[]string{"0", "jobs", "pods", "permissions"}, nil}, // they would replace the workflow's
		{[]string{"0", "jobs", "pods", "steps", "3", "run"}, "kubectl get pods"},
		{[]string{"0", "jobs", "pods", "steps", "3", "env"}, map[string]any{"KUBECONFIG": "${{ github.workspace }}/kubeconfig.yaml"}},
	},
	"gitlab-ci.yml": {
		{[]string{"0", "pods", "id_tokens"}, map[string]any{"AZURE_ID_TOKEN": map[string]any{"aud": "api://AzureADTokenExchange"}}},
		{[]string{"0", "pods", "variables"}, map[string]any{"KUBECONFIG": "$CI_PROJECT_DIR/kubeconfig.yaml"}},
	},
	"azure-pipelines.yml": {
		{[]string{"0", "steps", "1", "task"}, "AzureCLI@2"},
		{[]string{"0", "steps", "1", "inputs", "scriptType"}, "bash"},
		{[]string{"0", "steps", "1", "inputs", "scriptLocation"}, "inlineScript"},
		{[]string{"0", "steps", "1", "env"}, map[string]any{
			"KUBECONFIG": "$(Build.SourcesDirectory)/kubeconfig.yaml", "AAD_LOGIN_METHOD": "azurepipelines", "SYSTEM_ACCESSTOKEN": "$(System.AccessToken)",
		}},
	},
	"argocd-cluster.yaml": {
		{[]string{"0", "kind"}, "Secret"},
		{[]string{"0", "metadata", "labels", "argocd.argoproj.io/secret-type"}, "cluster"},
	},
}

func structured(t *testing.T, content []byte) {
	all := any(documents(t, content))
	wanted := values[filepath.Base(t.Name())]
	if len(wanted) == 0 {
		t.Error("nothing is known of this file")
	}
	for _, v := range wanted {
		if got := at(all, v.path...); !reflect.DeepEqual(got, v.want) {
			t.Errorf("%s is %#v, want %#v", strings.Join(v.path, " "), got, v.want)
		}
	}
}

func documents(t *testing.T, content []byte) []any {
	t.Helper()
	var all []any
	for decoder := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var d any
		if err := decoder.Decode(&d); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
}

// at is what stands at a path, and nil where nothing does.
func at(in any, path ...string) any {
	for _, key := range path {
		switch v := in.(type) {
		case map[string]any:
			in = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(v) {
				return nil
			}
			in = v[i]
		default:
			return nil
		}
	}
	return in
}

func ownModule(t *testing.T, _ []byte) {
	raw, err := exec.Command("go", "mod", "edit", "-json", "examples/client-go/go.mod").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Module  struct{ Path string }
		Replace []struct{ Old, New struct{ Path string } }
	}
	if err := json.Unmarshal(raw, &mod); err != nil {
		t.Fatal(err)
	}
	const module = "github.com/akslogin/akslogin"
	if mod.Module.Path != module+"/examples/client-go" || len(mod.Replace) != 1 || mod.Replace[0].Old.Path != module || mod.Replace[0].New.Path != "../.." {
		t.Errorf("%+v", mod)
	}
}

// usedByBuild: TestExamplePrograms builds with it.
func usedByBuild(*testing.T, []byte) {}

// scriptKeys are where CI files have shell.
var scriptKeys = []string{"run", "script", "before_script", "after_script", "inlineScript", "bash"}

// scripts are all shell below a place in a document.
func scripts(in any) (all []string) {
	switch v := in.(type) {
	case map[string]any:
		for key, below := range v {
			if slices.Contains(scriptKeys, key) {
				all = append(all, strings.Join(lines(below), "\n"))
			} else {
				all = append(all, scripts(below)...)
			}
		}
	case []any:
		for _, below := range v {
			all = append(all, scripts(below)...)
		}
	}
	return all
}

// lines are a string, or a list of them.
func lines(in any) (all []string) {
	list, isList := in.([]any)
	if !isList {
		list = []any{in}
	}
	for _, line := range list {
		all = append(all, toString(line))
	}
	return all
}

// ciJobs are what a CI system gives to a job's one script, and what akslogin's stand-in for kubectl says of the federated token's file; nil
// where the file has several scripts.
var ciJobs = map[string]func(s *entratest.Server) (env []string, says string){
	"gitlab-ci.yml": func(s *entratest.Server) ([]string, string) {
		return []string{"AZURE_ID_TOKEN=" + s.Assertion(entratest.Claims{Subject: subject})}, "600\n"
	},
	"azure-pipelines.yml": func(s *entratest.Server) ([]string, string) {
		uri, systemToken := s.Pipeline(serviceConnection)
		return []string{
			"AAD_LOGIN_METHOD=azurepipelines", "SYSTEM_OIDCREQUESTURI=" + uri, "SYSTEM_ACCESSTOKEN=" + systemToken,
			"AZURESUBSCRIPTION_CLIENT_ID=" + client, "AZURESUBSCRIPTION_TENANT_ID=" + tenant, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=" + serviceConnection.ID,
		}, ""
	},
	"github-actions.yaml": nil,
}

// The shell in CI files is shell, and akslogin logs in there; where it makes a file of the federated token, nobody else can read that, and it goes at the end.
func TestExampleSnippets(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	for file, job := range ciJobs {
		t.Run(file, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("examples", "kubectl", file))
			if err != nil {
				t.Fatal(err)
			}
			var document any
			if err := yaml.Unmarshal(raw, &document); err != nil {
				t.Fatal(err)
			}
			all := scripts(document)
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

// runSnippet runs a script with a kubectl that does no more than call its plugin, and a go that installs nothing.
func runSnippet(t *testing.T, bash, script string, job func(*entratest.Server) ([]string, string)) {
	s := entratest.New(t)
	populate(s)
	dir := t.TempDir()
	plugin := fmt.Sprintf("#!/bin/sh -e\n[ -z \"$AZURE_FEDERATED_TOKEN_FILE\" ] || stat -c %%a \"$AZURE_FEDERATED_TOKEN_FILE\" >&2\nexec %s get-token --login workloadidentity --tenant-id %s --client-id %s\n", binary(t), tenant, client)
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

// ownFault is what go says of a module where the network is not to blame.
var ownFault = regexp.MustCompile(`go\.sum|go\.mod|checksum|go mod tidy|syntax`)

// goInExample is a go command in examples/client-go, as it is there: go.mod and go.sum have to be complete.
func goInExample(args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join("examples", "client-go")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0")
	return cmd
}

// The two programs of examples/client-go build, vet, and list pods, and share their tokens. The second one goes on when its token ends.
func TestExamplePrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("building client-go takes a minute where it was never built")
	}
	if out, err := goInExample("list", "-deps", "./...").CombinedOutput(); err != nil && !ownFault.Match(out) { // unlike mod download it mends nothing
		notHere(t, "no modules for examples/client-go to be had here: "+string(out))
	}
	bin := t.TempDir()
	for _, args := range [][]string{{"build", "-buildvcs=false", "-o", bin + "/", "./..."}, {"vet", "./..."}} {
		if out, err := goInExample(args...).CombinedOutput(); err != nil {
			t.Fatalf("in examples/client-go (does go mod tidy help there?): go %s: %v\n%s", args, err, out)
		}
	}
	s := entratest.New(t)
	populate(s)
	p := &examplePrograms{bin: bin, dir: t.TempDir(), entra: s, api: kubernetes(t, s)}
	p.prepare(t)
	for _, program := range [][]string{p.exec(), p.token()} {
		if out, err := p.command(program...).CombinedOutput(); err != nil || string(out) != podName+"\n" {
			t.Errorf("%s: %v: %s", program, err, out)
		}
	}
	if s.TokenRequests() != 1 {
		t.Errorf("%d token requests, want one for both", s.TokenRequests())
	}
	t.Run("goes on", p.goesOn)
	t.Run("says why", p.saysWhy)
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
	raw, err := os.ReadFile("examples/kubectl/kubeconfig.yaml")
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
	fillIn(stanza, map[string]string{"--tenant-id": tenant, "--client-id": client})
	for name, content := range map[string][]byte{"ca.crt": ca, "token": []byte(p.entra.Assertion(entratest.Claims{Subject: subject}))} {
		if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(binary(t), filepath.Join(p.bin, "akslogin")); err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.WriteToFile(*config, filepath.Join(p.dir, "kubeconfig.yaml")); err != nil {
		t.Fatal(err)
	}
}

func fillIn(stanza *clientcmdapi.ExecConfig, flags map[string]string) {
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

// command runs one where Entra ID is the emulator, behind the public cloud's names. Go asks no proxy for the API server at 127.0.0.1.
func (p *examplePrograms) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, args[0]), args[1:]...)
	cmd.Env = []string{
		"PATH=" + p.bin, "HOME=" + p.dir, "HTTPS_PROXY=" + p.entra.ProxyURL, "SSL_CERT_FILE=" + p.entra.CAFile,
		"AZURE_TENANT_ID=" + tenant, "AZURE_CLIENT_ID=" + client, "AZURE_FEDERATED_TOKEN_FILE=" + filepath.Join(p.dir, "token"),
	}
	return cmd
}

// goesOn: a program that runs on keeps its token in memory where no cache can be, and asks for the next one when that ends.
func (p *examplePrograms) goesOn(t *testing.T) {
	p.entra.ResetCounters()
	p.listAgain(t, func(lines int) bool { return lines == 20 })
	if p.entra.TokenRequests() != 1 {
		t.Errorf("%d token requests for 20 lists", p.entra.TokenRequests())
	}
	p.entra.SetLife(2 * time.Second)
	p.listAgain(t, func(int) bool { return p.entra.TokenRequests() >= 4 }) // the line may still be the token's before
}

// listAgain runs the second program until enough lines came.
func (p *examplePrograms) listAgain(t *testing.T, enough func(lines int) bool) {
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

// saysWhy: both say akslogin's words where a login fails.
func (p *examplePrograms) saysWhy(t *testing.T) {
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
func TestExamplesAreAsWritten(t *testing.T) {
	const file = "examples/astro/kubeconfig.yaml"
	for holder, form := range map[string]string{file: "yaml", "examples/astro/.env": "airflow-env"} {
		out, err := exec.Command(binary(t), "kubeconfig", "--kubeconfig", file, "--command", "/usr/local/bin/akslogin", "-o", form).Output()
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
