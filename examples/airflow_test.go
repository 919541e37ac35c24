package examples

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/airflow"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/stanza"
)

// Kubeconfigs

func checkKubeconfig(t *testing.T, raw string) {
	config, err := kubeconfig.Parse("kubeconfig", []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Users) != 1 || len(config.Contexts) != 1 ||
		config.CurrentContext != config.Contexts[0].Name ||
		config.Contexts[0].Namespace != podsNamespace(t) {
		t.Fatalf("contexts %+v, users %+v, current %q",
			config.Contexts, config.Users, config.CurrentContext)
	}
	e := config.Users[0].Exec
	if e == nil || e.InteractiveMode != "Never" || e.InstallHint == "" ||
		e.ProvideClusterInfo == nil || *e.ProvideClusterInfo {
		t.Fatalf("%+v", e)
	}
	// By its name: pip puts it into another folder of the PATH in each image.
	for _, installs := range []string{"astro/requirements.txt", "airflow/Dockerfile"} {
		if !regexp.MustCompile(`(?m)(^| )` + e.Command + `$`).MatchString(exampleFile(t, installs)) {
			t.Errorf("%s does not install %s", installs, e.Command)
		}
	}
	args, err := stanza.ReadArgs(e)
	if err != nil {
		t.Fatalf("%q: %v", e.Args, err)
	}
	if args["login"] != "workloadidentity" || args["client-id"] != placeholderID ||
		args["tenant-id"] != placeholderID {
		t.Errorf("%q", e.Args)
	}
}

// checkEmbeddedKubeconfig checks that the kubeconfig in a connection is that of kubeconfig.yaml.
func checkEmbeddedKubeconfig(t *testing.T, raw string) {
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

// airflowConn is an Airflow connection with only the fields that examples may set. Some versions of
// the provider treat in_cluster and empty fields as a choice of another login.
type airflowConn struct {
	Type        string       `yaml:"conn_type"`
	Description string       `yaml:"description"`
	Extra       airflowExtra `yaml:"extra"`
}

type airflowExtra struct {
	KubeConfig     *string `yaml:"kube_config"`
	KubeConfigPath *string `yaml:"kube_config_path"`
	Namespace      string  `yaml:"namespace"`
}

func (c airflowConn) check(t *testing.T) {
	t.Helper()
	if c.Type != "kubernetes" || c.Extra.Namespace != podsNamespace(t) ||
		(c.Extra.KubeConfig == nil) == (c.Extra.KubeConfigPath == nil) {
		t.Fatalf("%+v", c)
	}
	if c.Extra.KubeConfig != nil {
		checkEmbeddedKubeconfig(t, *c.Extra.KubeConfig)
	} else if *c.Extra.KubeConfigPath != "/usr/local/airflow/kubeconfig.yaml" {
		t.Errorf("the image has kubeconfig.yaml elsewhere than %s", *c.Extra.KubeConfigPath)
	}
}

func checkConnections(t *testing.T, raw string) {
	var file map[string]airflowConn
	unmarshalYAML(t, raw, &file)
	c, ok := file[connectionID]
	if len(file) != 1 || !ok || !json.Valid([]byte(raw)) {
		t.Fatalf("not a single connection %s in JSON", connectionID)
	}
	c.check(t)
}

const connectionID = "az_aks"

// checkVariable checks an .env file with a connection, quoted as a shell needs it.
func checkVariable(t *testing.T, raw string) {
	value, hasName := strings.CutPrefix(raw, airflow.VariableName(connectionID)+"='")
	value, hasEnd := strings.CutSuffix(value, "'\n")
	if !hasName || !hasEnd || strings.ContainsAny(value, "'\n") {
		t.Fatal("not a single variable in single quotes")
	}
	checkConnectionJSON(t, value)
}

func checkConnectionJSON(t *testing.T, value string) {
	t.Helper()
	if !json.Valid([]byte(value)) {
		t.Fatalf("not JSON: %s", value)
	}
	var c airflowConn
	unmarshalYAML(t, value, &c)
	c.check(t)
}

func checkSettings(t *testing.T, raw string) {
	var file struct {
		Airflow struct {
			Connections []struct {
				ID    string       `yaml:"conn_id"`
				Type  string       `yaml:"conn_type"`
				Extra airflowExtra `yaml:"conn_extra"`
			}
		}
	}
	unmarshalYAML(t, raw, &file)
	all := file.Airflow.Connections
	if len(all) != 1 || all[0].ID != connectionID {
		t.Fatalf("%+v", all)
	}
	airflowConn{Type: all[0].Type, Extra: all[0].Extra}.check(t)
}

// Images

// checkDockerfile checks that a Dockerfile has its base image and these other instructions only: no
// packages, no ENV.
func checkDockerfile(base string, others ...string) func(t *testing.T, raw string) {
	return func(t *testing.T, raw string) {
		var got []string
		for line := range strings.Lines(raw) {
			if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") {
				got = append(got, line)
			}
		}
		isBase := regexp.MustCompile(`^FROM ` + base + `$`).MatchString
		if len(got) == 0 || !isBase(got[0]) || !slices.Equal(got[1:], others) {
			t.Errorf("instructions: %q", got)
		}
		if !strings.Contains(raw, "# No ENV KUBECONFIG: ") {
			t.Error("no comment explains why there is no ENV KUBECONFIG")
		}
	}
}

func checkRequirements(t *testing.T, raw string) {
	// The provider refreshes the token of a deferrable task since version 10.16.1.
	const provider = `apache-airflow-providers-cncf-kubernetes>=10\.16\.1`
	if !regexp.MustCompile(`^(#.*\n)*` + provider + `\n(#.*\n)*akslogin\n$`).MatchString(raw) {
		t.Errorf("does not require only %s and akslogin", provider)
	}
}

// The DAG

// runDAG is a Python program that runs a DAG without Airflow and prints what it defines. The DAG
// can import only these modules, and so nothing that Airflow 3 has removed.
const runDAG = `
import json, sys, types

found = {"dags": [], "tasks": [], "order": []}

class DAG:
    def __init__(self, dag_id, *, schedule, start_date, catchup, tags):
        found["dags"].append({
            "dag_id": dag_id, "schedule": schedule, "start_date": start_date, "catchup": catchup,
        })
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
name = "airflow"
for part in ["providers", "cncf", "kubernetes", "operators"]:
    name += "." + part
    module(name)
module(name + ".pod", KubernetesPodOperator=KubernetesPodOperator)
exec(compile(sys.stdin.read(), "aks_pod.py", "exec", dont_inherit=True), {"__name__": "aks_pod"})
print(json.dumps(found))
`

// operatorArguments are arguments of KubernetesPodOperator in both Airflow 2.11 and 3, with values
// of their types.
var operatorArguments = map[string]any{
	"task_id": "", "name": "", "namespace": "", "image": "", "cmds": []any{}, "arguments": []any{},
	"kubernetes_conn_id": "", "in_cluster": false, "get_logs": false, "on_finish_action": "",
	"deferrable": false, "poll_interval": 0.0,
}

func checkDAG(t *testing.T, raw string) {
	const python = "python3"
	// On Windows, a program of that name may only open the Microsoft Store.
	if err := exec.Command(python, "-I", "-c", "").Run(); err != nil {
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
	if len(found.DAGs) != 1 || found.DAGs[0]["schedule"] != nil ||
		found.DAGs[0]["catchup"] != false {
		t.Errorf("%+v", found.DAGs)
	}
	deferrable := 0
	for _, task := range found.Tasks {
		for name, value := range task {
			want, ok := operatorArguments[name]
			if !ok || reflect.TypeOf(want) != reflect.TypeOf(value) {
				t.Errorf("task %s: argument %s=%v", task["task_id"], name, value)
			}
		}
		if task["kubernetes_conn_id"] != connectionID || task["in_cluster"] != false ||
			task["namespace"] != podsNamespace(t) || task["on_finish_action"] != "delete_pod" {
			t.Errorf("%+v", task)
		}
		if task["deferrable"] == true {
			deferrable++
		}
	}
	if len(found.Tasks) != 2 || deferrable != 1 || len(found.Order) != 1 {
		t.Errorf("%d tasks, %d of them deferrable, order %v",
			len(found.Tasks), deferrable, found.Order)
	}
}

// Workload identity

// chartComponent is a component in the values of Airflow's Helm chart.
type chartComponent struct {
	Labels         map[string]any // not map[string]string: Kubernetes refuses a bool as a label
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

// checkInitContainer checks that an init container copies akslogin to where the other containers of
// all components have it on their PATH.
func checkInitContainer(t *testing.T, raw string) {
	type mount struct {
		Name, MountPath, SubPath string
		ReadOnly                 bool
	}
	type container struct {
		Name, Image  string
		Args         []string
		VolumeMounts []mount
	}
	type component struct {
		ExtraInitContainers []container
		ExtraVolumes        []map[string]any
		ExtraVolumeMounts   []mount
	}
	want := component{
		[]container{{
			"akslogin", "<REGISTRY>/akslogin:<TAG>", []string{"install", "--to", "/akslogin"},
			[]mount{{"akslogin", "/akslogin", "", false}},
		}},
		[]map[string]any{{"name": "akslogin", "emptyDir": map[string]any{}}},
		[]mount{{"akslogin", "/usr/local/bin/akslogin", "akslogin", true}},
	}
	var values struct {
		Images struct {
			Airflow struct{ Repository, Tag string }
		}
		Scheduler, Workers, Triggerer component
	}
	asJSON, err := json.Marshal(decodeYAML(t, raw))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON)) // its field names ignore the case
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&values); err != nil {
		t.Fatal(err)
	}
	for _, c := range []component{values.Scheduler, values.Workers, values.Triggerer} {
		if !reflect.DeepEqual(c, want) {
			t.Errorf("%+v", c)
		}
	}
	base := "FROM " + values.Images.Airflow.Repository + ":" + values.Images.Airflow.Tag + "\n"
	if !strings.Contains(exampleFile(t, "airflow/Dockerfile"), base) {
		t.Errorf("the Dockerfile is not %s", base)
	}
}

// decodeYAML decodes the only YAML document in raw.
func decodeYAML(t *testing.T, raw string) (value any) {
	t.Helper()
	unmarshalYAML(t, raw, &value)
	return value
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
		annotations := map[string]string{
			prefix + "client-id": placeholderID,
			prefix + "tenant-id": placeholderID,
		}
		if !reflect.DeepEqual(c.ServiceAccount.Annotations, annotations) {
			t.Errorf("%s: annotations %v", c.ServiceAccount.Name, c.ServiceAccount.Annotations)
		}
	}
	if len(v.Env) != 1 || v.Env[0].Name != airflow.VariableName(connectionID) {
		t.Fatalf("variables %+v", v.Env)
	}
	checkConnectionJSON(t, v.Env[0].Value)
}
