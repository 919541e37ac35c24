package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/kube"
)

const (
	nobody      = "00000000-0000-0000-0000-000000000000" // what is to be replaced
	clusterUser = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"
	rbacWriter  = "a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb"
)

// exampleFolders are the folders of which every file is claimed by a check.
var exampleFolders = []string{"astro", "airflow", "azure"}

var exampleChecks = map[string]func(t *testing.T, raw string){
	"astro/.env":                  checkVariable,
	"astro/Dockerfile":            checkDockerfile(`quay\.io/astronomer/astro-runtime:\d+\.\d+\.\d+`),
	"astro/README.md":             checkReadme,
	"astro/airflow_settings.yaml": checkSettings,
	"astro/connections-path.json": checkConnections,
	"astro/connections.json":      checkConnections,
	"astro/dags/aks_pod.py":       checkDAG,
	"astro/kubeconfig.yaml":       checkKubeconfig,
	"astro/requirements.txt":      checkRequirements,
	"airflow/Dockerfile":          checkDockerfile(`apache/airflow:\d+\.\d+\.\d+`),
	"airflow/README.md":           checkReadme,
	"airflow/values.yaml":         checkValues,
	"azure/README.md":             checkReadme,
	"azure/main.bicep":            checkBicep,
	"azure/rbac.yaml":             checkRBAC,
	"azure/setup.sh":              checkSetup,
}

func TestExampleFolders(t *testing.T) {
	unseen := maps.Clone(exampleChecks)
	for _, folder := range exampleFolders {
		err := filepath.WalkDir(filepath.Join("examples", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name := strings.TrimPrefix(filepath.ToSlash(path), "examples/")
			t.Run(name, func(t *testing.T) {
				check := exampleChecks[name]
				if check == nil {
					t.Fatal("no check claims this file")
				}
				raw := exampleFile(t, name)
				checkPlaceholders(t, raw)
				check(t, raw)
			})
			delete(unseen, name)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for name := range unseen {
		t.Errorf("%s is not there", name)
	}
}

func exampleFile(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("examples", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}

var (
	guid        = regexp.MustCompile(`(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	placeholder = regexp.MustCompile(`<[^<>\n]*[^A-Z<> \n][^<>\n]*>`)
)

// checkPlaceholders finds what people would have to replace and would not recognise, or somebody's own IDs.
func checkPlaceholders(t *testing.T, raw string) {
	for _, id := range guid.FindAllString(raw, -1) {
		if !slices.Contains([]string{nobody, clusterUser, rbacWriter, entratest.AKSServerID}, id) {
			t.Errorf("%s is neither zeros, nor a role, nor the application that AKS clusters are", id)
		}
	}
	if odd := placeholder.FindString(raw); odd != "" {
		t.Errorf("%s is no <PLACEHOLDER>", odd)
	}
}

func unmarshalYAML(t *testing.T, raw string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(raw)) // JSON is YAML
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one document: %v", err)
	}
}

// Kubeconfigs

func checkKubeconfig(t *testing.T, raw string) {
	config, err := kube.Parse("kubeconfig", []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Users) != 1 || len(config.Contexts) != 1 || config.CurrentContext != config.Contexts[0].Name || config.Contexts[0].Namespace != jobs(t) {
		t.Fatalf("contexts %+v, users %+v, current %q", config.Contexts, config.Users, config.CurrentContext)
	}
	e := config.Users[0].Exec
	if e == nil || e.InteractiveMode != "Never" || e.InstallHint == "" || e.ProvideClusterInfo == nil || *e.ProvideClusterInfo {
		t.Fatalf("%+v", e)
	}
	for _, image := range []string{"astro/Dockerfile", "airflow/Dockerfile"} {
		if !strings.Contains(exampleFile(t, image), " "+e.Command+"\n") {
			t.Errorf("%s does not install %s", image, e.Command)
		}
	}
	given, err := readStanza(e)
	if err != nil {
		t.Fatalf("%q: %v", e.Args, err)
	}
	if given["login"] != "workloadidentity" || given["client-id"] != nobody || given["tenant-id"] != nobody {
		t.Errorf("%q", e.Args)
	}
}

// embedded checks a kubeconfig that stands in a connection: it is the one in the file.
func embedded(t *testing.T, raw string) {
	t.Helper()
	var got, want any
	unmarshalYAML(t, raw, &got)
	unmarshalYAML(t, exampleFile(t, "astro/kubeconfig.yaml"), &want)
	if !json.Valid([]byte(raw)) || !reflect.DeepEqual(got, want) {
		t.Errorf("not astro/kubeconfig.yaml in JSON:\n%v\n%v", got, want)
	}
	checkKubeconfig(t, raw)
}

// Connections

// conn is an Airflow connection with no more fields than are of use: in_cluster and empty ones are a choice to some versions of the provider.
type conn struct {
	Type        string `yaml:"conn_type"`
	Description string `yaml:"description"`
	Extra       extra  `yaml:"extra"`
}

type extra struct {
	KubeConfig     *string `yaml:"kube_config"`
	KubeConfigPath *string `yaml:"kube_config_path"`
	Namespace      string  `yaml:"namespace"`
}

func (c conn) check(t *testing.T) {
	t.Helper()
	if c.Type != "kubernetes" || c.Extra.Namespace != jobs(t) || (c.Extra.KubeConfig == nil) == (c.Extra.KubeConfigPath == nil) {
		t.Fatalf("%+v", c)
	}
	if c.Extra.KubeConfig != nil {
		embedded(t, *c.Extra.KubeConfig)
	} else if *c.Extra.KubeConfigPath != "/usr/local/airflow/kubeconfig.yaml" {
		t.Errorf("%s is not where the build copies kubeconfig.yaml to", *c.Extra.KubeConfigPath)
	}
}

func checkConnections(t *testing.T, raw string) {
	var file map[string]conn
	unmarshalYAML(t, raw, &file)
	c, found := file[connectionID]
	if len(file) != 1 || !found || !json.Valid([]byte(raw)) {
		t.Fatalf("not the one connection %s in JSON", connectionID)
	}
	c.check(t)
}

const connectionID = "az_aks"

// checkVariable takes an .env file apart as a shell does.
func checkVariable(t *testing.T, raw string) {
	value, begins := strings.CutPrefix(raw, connectionVariable(connectionID)+"='")
	value, ends := strings.CutSuffix(value, "'\n")
	if !begins || !ends || strings.ContainsAny(value, "'\n") {
		t.Fatal("not one variable in single quotes")
	}
	checkConnectionJSON(t, value)
}

func checkConnectionJSON(t *testing.T, value string) {
	t.Helper()
	if !json.Valid([]byte(value)) {
		t.Fatalf("not JSON: %s", value)
	}
	var c conn
	unmarshalYAML(t, value, &c)
	c.check(t)
}

func checkSettings(t *testing.T, raw string) {
	var file struct {
		Airflow struct {
			Connections []struct {
				ID    string `yaml:"conn_id"`
				Type  string `yaml:"conn_type"`
				Extra extra  `yaml:"conn_extra"`
			}
		}
	}
	unmarshalYAML(t, raw, &file)
	all := file.Airflow.Connections
	if len(all) != 1 || all[0].ID != connectionID {
		t.Fatalf("%+v", all)
	}
	conn{Type: all[0].Type, Extra: all[0].Extra}.check(t)
}

// Images

// checkDockerfile checks that an image is its base and one static binary more, and nothing else: no packages, no ENV.
func checkDockerfile(base string) func(t *testing.T, raw string) {
	return func(t *testing.T, raw string) {
		module, err := os.ReadFile("go.mod")
		if err != nil {
			t.Fatal(err)
		}
		version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(module))[1]
		path := regexp.MustCompile(`(?m)^module (\S+)`).FindStringSubmatch(string(module))[1]
		wanted := map[string]*regexp.Regexp{
			"base":  regexp.MustCompile(`^FROM ` + base + `( AS airflow)?$`),
			"Go":    regexp.MustCompile(`^FROM golang:` + regexp.QuoteMeta(version) + ` AS build$`),
			"build": regexp.MustCompile(`^RUN CGO_ENABLED=0 go install -trimpath -ldflags="-s -w" ` + regexp.QuoteMeta(path) + `@latest$`),
			"copy":  regexp.MustCompile(`^COPY --from=build /go/bin/akslogin /usr/local/bin/akslogin$`),
		}
		var order []string
		for line := range strings.Lines(raw) {
			line = strings.TrimSuffix(line, "\n")
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			step := "again"
			for name, pattern := range wanted {
				if pattern.MatchString(line) {
					step = name
				}
			}
			if step == "again" && line != "FROM airflow" {
				t.Errorf("%q has no place in this image", line)
			}
			order = append(order, step)
		}
		if got := strings.Join(order, " "); got != "base Go build again copy" && got != "Go build base copy" {
			t.Errorf("instructions: %s", got)
		}
		if !strings.Contains(raw, "# No ENV KUBECONFIG: ") {
			t.Error("it does not say why there is no ENV KUBECONFIG")
		}
	}
}

func checkRequirements(t *testing.T, raw string) {
	if !regexp.MustCompile(`^(#.*\n)*apache-airflow-providers-cncf-kubernetes>=10\.16\.1\n$`).MatchString(raw) {
		t.Error("not the provider, from the first version on that renews a deferrable task's token")
	}
}

// The DAG

// runDAG executes a DAG without Airflow. Anything that is imported besides these modules is not there, as what Airflow 3 has removed is not.
const runDAG = `
import json, sys, types

found = {"dags": [], "tasks": [], "order": []}

class DAG:
    def __init__(self, dag_id, *, schedule, start_date, catchup, tags):
        found["dags"].append({"dag_id": dag_id, "schedule": schedule, "start_date": start_date, "catchup": catchup})
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass

class KubernetesPodOperator:
    def __init__(self, **arguments):
        self.task_id = arguments["task_id"]
        found["tasks"].append(arguments)
    def __rshift__(self, other):
        found["order"].append([self.task_id, other.task_id])
        return other

def module(name, **content):
    m = types.ModuleType(name)
    m.__dict__.update(content)
    m.__path__ = []
    sys.modules[name] = m

module("pendulum", datetime=lambda *day, tz: [*day, tz])
module("airflow", DAG=DAG)
for name in ["airflow.providers", "airflow.providers.cncf", "airflow.providers.cncf.kubernetes", "airflow.providers.cncf.kubernetes.operators"]:
    module(name)
module("airflow.providers.cncf.kubernetes.operators.pod", KubernetesPodOperator=KubernetesPodOperator)
exec(compile(sys.stdin.read(), "aks_pod.py", "exec", dont_inherit=True), {"__name__": "aks_pod"})
print(json.dumps(found))
`

// operatorArguments are those of KubernetesPodOperator that Airflow 2.11 and 3 know alike, with the type that each has.
var operatorArguments = map[string]any{
	"task_id": "", "name": "", "namespace": "", "image": "", "cmds": []any{}, "arguments": []any{}, "kubernetes_conn_id": "", "in_cluster": false,
	"get_logs": false, "on_finish_action": "", "deferrable": false, "poll_interval": 0.0,
}

func checkDAG(t *testing.T, raw string) {
	const python = "python3"
	if err := exec.Command(python, "-I", "-c", "").Run(); err != nil { // on Windows a program of that name may only open a shop
		t.Skip("no python3: ", err)
	}
	run := exec.Command(python, "-I", "-B", "-c", runDAG)
	run.Stdin = strings.NewReader(raw)
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var found struct {
		DAGs  []map[string]any
		Tasks []map[string]any
		Order [][]string
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.DAGs) != 1 || found.DAGs[0]["schedule"] != nil || found.DAGs[0]["catchup"] != false {
		t.Errorf("%+v", found.DAGs)
	}
	deferrable := 0
	for _, task := range found.Tasks {
		for name, value := range task {
			if want, known := operatorArguments[name]; !known || reflect.TypeOf(want) != reflect.TypeOf(value) {
				t.Errorf("task %s: argument %s=%v", task["task_id"], name, value)
			}
		}
		if task["kubernetes_conn_id"] != connectionID || task["in_cluster"] != false || task["namespace"] != jobs(t) || task["on_finish_action"] != "delete_pod" {
			t.Errorf("%+v", task)
		}
		if task["deferrable"] == true {
			deferrable++
		}
	}
	if len(found.Tasks) != 2 || deferrable != 1 || len(found.Order) != 1 {
		t.Errorf("%d tasks, %d of them deferrable, order %v", len(found.Tasks), deferrable, found.Order)
	}
}

// jobs is the namespace where all examples run their pods: what setup.sh gives rights in.
func jobs(t *testing.T) string { return shellDefault(t, "POD_NAMESPACE") }

// shellDefault is what setup.sh takes for a variable that is not set.
func shellDefault(t *testing.T, variable string) string {
	t.Helper()
	found := regexp.MustCompile(`\$\{` + variable + `:-([a-z-]+)\}`).FindStringSubmatch(exampleFile(t, "azure/setup.sh"))
	if found == nil {
		t.Fatalf("setup.sh has no default for %s", variable)
	}
	return found[1]
}

// Workload identity

type chartComponent struct {
	Labels         map[string]any // Kubernetes takes no bool for a string
	ServiceAccount struct {
		Name        string
		Annotations map[string]string
	} `yaml:"serviceAccount"`
}

type chartValues struct {
	Executor string
	Images   struct {
		Airflow struct{ Repository, Tag string }
	}
	Scheduler, Workers, Triggerer chartComponent
	Env                           []struct{ Name, Value string }
}

func (v chartValues) serviceAccounts() (names []string) {
	for _, c := range []chartComponent{v.Scheduler, v.Workers, v.Triggerer} {
		names = append(names, c.ServiceAccount.Name)
	}
	return names
}

func checkValues(t *testing.T, raw string) {
	var v chartValues
	unmarshalYAML(t, raw, &v)
	const prefix = "azure.workload.identity/"
	for _, c := range []chartComponent{v.Scheduler, v.Workers, v.Triggerer} {
		if !reflect.DeepEqual(c.Labels, map[string]any{prefix + "use": "true"}) {
			t.Errorf("%s: labels %v", c.ServiceAccount.Name, c.Labels)
		}
		if !reflect.DeepEqual(c.ServiceAccount.Annotations, map[string]string{prefix + "client-id": nobody, prefix + "tenant-id": nobody}) {
			t.Errorf("%s: annotations %v", c.ServiceAccount.Name, c.ServiceAccount.Annotations)
		}
	}
	if len(v.Env) != 1 || v.Env[0].Name != connectionVariable(connectionID) {
		t.Fatalf("variables %+v", v.Env)
	}
	checkConnectionJSON(t, v.Env[0].Value)
}

// federation is a federated credential.
type federation struct{ name, issuer, subject, audience string }

// credentials are the three that there must be, by the service accounts in the chart's values.
func credentials(t *testing.T, issuer string) (all []federation) {
	t.Helper()
	var v chartValues
	unmarshalYAML(t, exampleFile(t, "airflow/values.yaml"), &v)
	for _, account := range v.serviceAccounts() {
		all = append(all, federation{account, issuer, "system:serviceaccount:" + shellDefault(t, "AIRFLOW_NAMESPACE") + ":" + account, "api://AzureADTokenExchange"})
	}
	return all
}

// setup.sh

// fakeAz says what it was called with, an argument a line, and what the real one would answer.
const fakeAz = `#!/usr/bin/env bash
{ printf '%s\n' "$@"; echo; } >>"$AZ_CALLS"
case "$1 $2" in
"$AZ_FAILS") echo refused >&2; exit 1 ;;
"aks show") echo /subscriptions/s/clusters/c ;;
"identity create") printf '%s\n' $AZ_IDENTITY ;;
esac
`

// azCall is the arguments of one call.
type azCall []string

// runSetup runs setup.sh with a fake az, and returns what it asked of it.
func runSetup(t *testing.T, variables ...string) (calls []azCall, out string, err error) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("no bash: ", err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "az"), []byte(fakeAz), 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(folder, "calls")
	run := exec.Command(bash, "examples/azure/setup.sh")
	run.Env = append([]string{"PATH=" + folder + string(os.PathListSeparator) + os.Getenv("PATH"), "AZ_CALLS=" + log, "AZ_FAILS=", "AZ_IDENTITY=client tenant principal"}, variables...)
	raw, err := run.CombinedOutput()
	asked, readErr := os.ReadFile(log)
	if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
		t.Fatal(readErr)
	}
	for block := range strings.SplitSeq(strings.TrimSuffix(string(asked), "\n\n"), "\n\n") {
		if block != "" {
			calls = append(calls, strings.Split(block, "\n"))
		}
	}
	return calls, string(raw), err
}

var setupVariables = []string{"RESOURCE_GROUP=my group", "CLUSTER=c", "ISSUER=https://issuer/"}

func checkSetup(t *testing.T, raw string) {
	if !strings.HasPrefix(raw, "#!/usr/bin/env bash\n") || !strings.Contains(raw, "\nset -euo pipefail\n") {
		t.Error("it goes on after a failure")
	}
	want := []azCall{
		{"aks", "show", "--resource-group", "my group", "--name", "c", "--query", "id", "--output", "tsv"},
		{"identity", "create", "--resource-group", "my group", "--name", "airflow-aks", "--query", "[clientId, tenantId, principalId]", "--output", "tsv"},
	}
	for _, c := range credentials(t, "https://issuer/") {
		want = append(want, azCall{"identity", "federated-credential", "create", "--resource-group", "my group", "--identity-name", "airflow-aks", "--name", c.name,
			"--issuer", c.issuer, "--subject", c.subject, "--audiences", c.audience, "--output", "none"})
	}
	for _, role := range []struct{ id, scope string }{{clusterUser, ""}, {rbacWriter, "/namespaces/" + jobs(t)}} {
		want = append(want, azCall{"role", "assignment", "create", "--assignee-object-id", "principal", "--assignee-principal-type", "ServicePrincipal",
			"--role", role.id, "--scope", "/subscriptions/s/clusters/c" + role.scope, "--output", "none"})
	}
	for range 2 {
		calls, out, err := runSetup(t, setupVariables...)
		if err != nil || !reflect.DeepEqual(calls, want) {
			t.Fatalf("%v\n%s\n%q\nwant\n%q", err, out, calls, want)
		}
		if out != "client ID: client\ntenant ID: tenant\nprincipal ID (for rbac.yaml): principal\n" {
			t.Errorf("said %s", out)
		}
	}
	if out, err := exec.Command("bash", "-n", "examples/azure/setup.sh").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// setup.sh asks for nothing more once something is missing or fails.
func TestExampleSetupStops(t *testing.T) {
	for _, c := range []struct {
		name      string
		variables []string
		calls     int
	}{
		{"no issuer", setupVariables[:2], 0},
		{"no cluster", append([]string{"AZ_FAILS=aks show"}, setupVariables...), 1},
		{"no identity", append([]string{"AZ_FAILS=identity create"}, setupVariables...), 2},
		{"half an identity", append([]string{"AZ_IDENTITY=client tenant"}, setupVariables...), 2},
		{"no credential", append([]string{"AZ_FAILS=identity federated-credential"}, setupVariables...), 3},
		{"no role", append([]string{"AZ_FAILS=role assignment"}, setupVariables...), 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls, out, err := runSetup(t, c.variables...)
			if err == nil || len(calls) != c.calls || strings.Contains(out, "client ID:") {
				t.Errorf("%v after %d calls, want %d\n%s", err, len(calls), c.calls, out)
			}
		})
	}
}

// Bicep

var (
	bicepResource = regexp.MustCompile(`(?ms)^resource (\w+) '([\w./]+)@\d{4}-\d{2}-\d{2}' (existing )?= \{\n(.*?)^\}$`)
	bicepName     = regexp.MustCompile(`(?m)^(param|var) (\w+)`)
	bicepDefault  = regexp.MustCompile(`(?m)^(?:param|var) (\w+)(?: string)? = (?:\[)?'([^']*)'\]?$`)
	bicepProperty = regexp.MustCompile(`(?m)^ +(\w+): (.*[^{\n])$`)
)

type bicep struct {
	kind, name string
	properties map[string]string
}

func checkBicep(t *testing.T, raw string) {
	code := regexp.MustCompile(`(?m)//.*$`).ReplaceAllString(strings.ReplaceAll(raw, "api://", "api:"), "")
	bare := regexp.MustCompile(`'[^'\n]*'`).ReplaceAllString(code, "")
	for _, pair := range []string{"{}", "[]", "()", "''"} {
		if strings.Count(bare, pair[:1]) != strings.Count(bare, pair[1:]) {
			t.Errorf("%s do not come in pairs", pair)
		}
	}
	for _, name := range bicepName.FindAllStringSubmatch(code, -1) {
		if len(regexp.MustCompile(`\b`+name[2]+`\b`).FindAllString(code, -1)) < 2 {
			t.Errorf("%s %s is not used", name[1], name[2])
		}
	}
	defaults := map[string]string{}
	for _, found := range bicepDefault.FindAllStringSubmatch(raw, -1) {
		defaults[found[1]] = found[2]
	}
	all := bicepResources(raw)
	if len(all) != strings.Count(raw, "\nresource ") {
		t.Fatalf("%d resources were understood", len(all))
	}
	checkBicepCredentials(t, all, defaults)
	checkBicepRoles(t, all, defaults)
}

func bicepResources(raw string) (all []bicep) {
	for _, found := range bicepResource.FindAllStringSubmatch(raw, -1) {
		r := bicep{kind: found[2], name: found[1], properties: map[string]string{}}
		for _, p := range bicepProperty.FindAllStringSubmatch(found[4], -1) {
			r.properties[p[1]] = p[2]
		}
		all = append(all, r)
	}
	return all
}

// The credentials are setup.sh's, and each waits for the one before it.
func checkBicepCredentials(t *testing.T, all []bicep, defaults map[string]string) {
	var got []federation
	before := ""
	for _, r := range all {
		if r.kind != "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials" {
			continue
		}
		p := r.properties
		subject := strings.ReplaceAll(p["subject"], "${airflowNamespace}", defaults["airflowNamespace"])
		got = append(got, federation{strings.Trim(p["name"], "'"), p["issuer"], strings.Trim(subject, "'"), defaults[p["audiences"]]})
		if p["parent"] != "identity" || p["dependsOn"] != before {
			t.Errorf("%s: %v, want it to depend on %q", r.name, p, before)
		}
		before = "[" + r.name + "]"
	}
	if want := credentials(t, "issuer"); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Each role has its assignment, to the identity and for no more than it is for.
func checkBicepRoles(t *testing.T, all []bicep, defaults map[string]string) {
	scopes := map[string]string{}
	names := map[string]string{}
	for _, r := range all {
		p := r.properties
		names[r.name] = r.kind + " " + p["name"]
		if r.kind != "Microsoft.Authorization/roleAssignments" {
			continue
		}
		role := regexp.MustCompile(`^subscriptionResourceId\('Microsoft.Authorization/roleDefinitions', (\w+)\)$`).FindStringSubmatch(p["roleDefinitionId"])
		if role == nil || p["principalId"] != "identity.properties.principalId" || p["principalType"] != "'ServicePrincipal'" {
			t.Fatalf("%s: %v", r.name, p)
		}
		if want := fmt.Sprintf("guid(%s.id, identity.id, %s)", p["scope"], role[1]); p["name"] != want {
			t.Errorf("%s has the name %s, want %s", r.name, p["name"], want)
		}
		scopes[defaults[role[1]]] = names[p["scope"]]
	}
	want := map[string]string{
		clusterUser: "Microsoft.ContainerService/managedClusters clusterName",
		rbacWriter:  "Microsoft.ContainerService/managedClusters/namespaces podNamespace",
	}
	if !maps.Equal(scopes, want) || defaults["podNamespace"] != jobs(t) || defaults["identityName"] != shellDefault(t, "IDENTITY") {
		t.Errorf("roles %v, want %v; %v", scopes, want, defaults)
	}
}

// Kubernetes RBAC

func checkRBAC(t *testing.T, raw string) {
	type metadata struct{ Name, Namespace string }
	type reference struct {
		APIGroup string `yaml:"apiGroup"`
		Kind     string
		Name     string
	}
	role, binding, found := strings.Cut(raw, "\n---\n")
	if !found {
		t.Fatal("not two documents")
	}
	var r struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   metadata
		Rules      []struct {
			APIGroups []string `yaml:"apiGroups"`
			Resources []string
			Verbs     []string
		}
	}
	unmarshalYAML(t, role, &r)
	got := map[string][]string{}
	for _, rule := range r.Rules {
		if !slices.Equal(rule.APIGroups, []string{""}) {
			t.Errorf("%+v", rule)
		}
		for _, resource := range rule.Resources {
			got[resource] = append(got[resource], rule.Verbs...)
		}
	}
	want := map[string][]string{
		"pods": {"create", "get", "list", "watch", "patch", "delete"}, "pods/log": {"get"}, "events": {"list", "watch"}, "pods/exec": {"create", "get"},
	}
	here := metadata{"airflow-pods", jobs(t)}
	if !reflect.DeepEqual(got, want) || r.Kind != "Role" || r.Metadata != here || r.APIVersion != rbacGroup+"/v1" {
		t.Errorf("%+v", r)
	}
	var b struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   metadata
		RoleRef    reference `yaml:"roleRef"`
		Subjects   []reference
	}
	unmarshalYAML(t, binding, &b)
	if b.Kind != "RoleBinding" || b.Metadata != here || b.APIVersion != rbacGroup+"/v1" || b.RoleRef != (reference{rbacGroup, "Role", here.Name}) ||
		!slices.Equal(b.Subjects, []reference{{rbacGroup, "User", nobody}}) {
		t.Errorf("%+v", b)
	}
}

const rbacGroup = "rbac.authorization.k8s.io"

// READMEs

var (
	readmeLink = regexp.MustCompile(`\]\(([^):]+)\)`)
)

// checkReadme follows the links. TestReadmeCommandsParse reads the command lines.
func checkReadme(t *testing.T, raw string) {
	for _, found := range readmeLink.FindAllStringSubmatch(raw, -1) {
		if _, err := os.Stat(filepath.Join("examples", "astro", filepath.FromSlash(found[1]))); err != nil { // all three lie at the same depth
			t.Error(err)
		}
	}
}
