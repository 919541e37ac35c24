package examples

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/stanza"
	"go.yaml.in/yaml/v3"
)

// clientExamples maps every file of the directories kubectl and client-go to its check.
var clientExamples = map[string]func(t *testing.T, content []byte){
	"kubectl/README.md":           checkClientReadme,
	"kubectl/kubeconfig.yaml":     checkClientKubeconfig,
	"kubectl/pod.yaml":            checkExpectedValues,
	"kubectl/github-actions.yaml": checkExpectedValues,
	"kubectl/gitlab-ci.yml":       checkExpectedValues,
	"kubectl/azure-pipelines.yml": checkExpectedValues,
	"kubectl/argocd-cluster.yaml": checkArgoCluster,
	"client-go/README.md":         checkClientReadme,
	"client-go/go.mod":            checkModule,
	"client-go/go.sum":            checkedByBuild,
	"client-go/exec/main.go":      checkedByBuild,
	"client-go/token/main.go":     checkedByBuild,
}

func TestClientExampleFiles(t *testing.T) {
	for _, dir := range []string{"kubectl", "client-go"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && clientExamples[path] == nil {
				t.Errorf("clientExamples has no check for %s", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for name, check := range clientExamples {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			checkClientPlaceholders(t, content)
			check(t, content)
		})
	}
}

var (
	anyPlaceholder   = regexp.MustCompile(`<[^<>\n]+>`)
	validPlaceholder = regexp.MustCompile(`^<[A-Z][A-Z0-9 ,']+(https://\.\.\.)?>$`)
)

// checkClientPlaceholders checks that all placeholders are GUIDs of zeros or in capitals, by which
// users recognize them.
func checkClientPlaceholders(t *testing.T, content []byte) {
	for _, id := range guid.FindAllString(string(content), -1) {
		if id != placeholderID {
			t.Errorf("%s is not all zeros", id)
		}
	}
	for _, placeholder := range anyPlaceholder.FindAllString(string(content), -1) {
		if !validPlaceholder.MatchString(placeholder) {
			t.Errorf("%s is not <LIKE THIS>", placeholder)
		}
	}
}

// checkClientReadme checks nothing. In internal/cli, TestReadmeCommandsParse checks the command
// lines.
func checkClientReadme(*testing.T, []byte) {}

// checkExampleExec checks that an exec config logs in without user interaction, with placeholders
// as IDs.
func checkExampleExec(t *testing.T, e *kubeconfig.Exec) {
	t.Helper()
	args, err := stanza.ReadArgs(e)
	want := flags.Values{
		"login": "workloadidentity", "tenant-id": placeholderID, "client-id": placeholderID,
	}
	if err != nil || !reflect.DeepEqual(args, want) || e.Args[0] != "get-token" {
		t.Errorf("%q reads as %v, %v; want %v", e.Args, args, err, want)
	}
	if e.Command != "akslogin" || e.InstallHint == "" ||
		!strings.HasPrefix(e.APIVersion, "client.authentication.k8s.io/v1") {
		t.Errorf("%+v", e)
	}
}

func checkClientKubeconfig(t *testing.T, content []byte) {
	k, err := kubeconfig.Parse("kubeconfig.yaml", content)
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Contexts) != 1 || len(k.Clusters) != 1 || len(k.Users) != 1 || k.Users[0].Exec == nil {
		t.Fatalf("%+v", k)
	}
	context, user := k.Contexts[0], k.Users[0]
	if k.CurrentContext != context.Name || context.Cluster != k.Clusters[0].Name ||
		context.User != user.Name || user.Exec.InteractiveMode != "Never" {
		t.Errorf("%+v", k)
	}
	checkExampleExec(t, user.Exec)
}

func checkArgoCluster(t *testing.T, content []byte) {
	checkExpectedValues(t, content)
	// https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters
	var config struct {
		ExecProviderConfig struct {
			APIVersion, Command, InstallHint string
			Args                             []string
			Env                              map[string]string
		}
		TLSClientConfig struct{ CAData string }
	}
	text, _ := valueAt(decodeYAMLDocuments(t, content)[0], "stringData", "config").(string)
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&config); err != nil {
		t.Fatal(err)
	}
	e := config.ExecProviderConfig
	checkExampleExec(t, &kubeconfig.Exec{
		APIVersion: e.APIVersion, Command: e.Command, Args: e.Args, InstallHint: e.InstallHint,
	})
	if config.TLSClientConfig.CAData == "" || !filepath.IsAbs(e.Env["AKSLOGIN_CACHE_DIR"]) {
		t.Errorf("%+v", config)
	}
}

// expectedValue is a value at a path in a file's YAML documents. The path starts with the index of
// the document; numbers are indexes of lists. A nil value means that there is none.
type expectedValue struct {
	path []string
	want any
}

// expectedValues are the values that each file needs to work, by file name.
var expectedValues = map[string][]expectedValue{
	"pod.yaml": {
		{[]string{"0", "kind"}, "ServiceAccount"},
		{[]string{"0", "metadata", "name"}, "worker"},
		{[]string{"0", "metadata", "annotations", "azure.workload.identity/client-id"}, placeholderID},
		{[]string{"1", "kind"}, "Pod"},
		{[]string{"1", "metadata", "labels", "azure.workload.identity/use"}, "true"}, // Kubernetes refuses a bool
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
		{[]string{"0", "jobs", "pods", "permissions"}, nil}, // permissions of a job replace those of the workflow
		{[]string{"0", "jobs", "pods", "steps", "1"}, map[string]any{
			"uses": "akslogin/akslogin@v0.1.0", "with": map[string]any{"version": "v0.1.0"},
		}},
		{[]string{"0", "jobs", "pods", "steps", "2", "run"}, "kubectl get pods"},
		{[]string{"0", "jobs", "pods", "steps", "2", "env"}, map[string]any{"KUBECONFIG": "${{ github.workspace }}/kubeconfig.yaml"}},
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

func checkExpectedValues(t *testing.T, content []byte) {
	documents := any(decodeYAMLDocuments(t, content))
	values := expectedValues[filepath.Base(t.Name())]
	if len(values) == 0 {
		t.Error("expectedValues has none for this file")
	}
	for _, v := range values {
		if got := valueAt(documents, v.path...); !reflect.DeepEqual(got, v.want) {
			t.Errorf("%s is %#v, want %#v", strings.Join(v.path, " "), got, v.want)
		}
	}
}

func decodeYAMLDocuments(t *testing.T, content []byte) []any {
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

// valueAt returns the value at a path below root, or nil if there is none.
func valueAt(root any, path ...string) any {
	for _, key := range path {
		switch v := root.(type) {
		case map[string]any:
			root = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(v) {
				return nil
			}
			root = v[i]
		default:
			return nil
		}
	}
	return root
}

// checkModule checks that the module uses the akslogin of this repository.
func checkModule(t *testing.T, _ []byte) {
	raw, err := exec.Command("go", "mod", "edit", "-json", "client-go/go.mod").Output()
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
	if mod.Module.Path != module+"/examples/client-go" || len(mod.Replace) != 1 ||
		mod.Replace[0].Old.Path != module || mod.Replace[0].New.Path != "../.." {
		t.Errorf("%+v", mod)
	}
}

// checkedByBuild checks nothing. In internal/cli, TestExamplePrograms builds the programs.
func checkedByBuild(*testing.T, []byte) {}
