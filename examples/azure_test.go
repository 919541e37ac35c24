package examples

import (
	"errors"
	"fmt"
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
)

// federatedCredential is a federated credential.
type federatedCredential struct{ name, issuer, subject, audience string }

// wantCredentials are the three that there must be, by the service accounts in the chart's values.
func wantCredentials(t *testing.T, issuer string) (all []federatedCredential) {
	t.Helper()
	var v chartValues
	unmarshalYAML(t, exampleFile(t, "airflow/values.yaml"), &v)
	for _, account := range v.serviceAccounts() {
		all = append(all, federatedCredential{account, issuer, "system:serviceaccount:" + shellDefault(t, "AIRFLOW_NAMESPACE") + ":" + account, "api://AzureADTokenExchange"})
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
	run := exec.Command(bash, "azure/setup.sh")
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
	for _, c := range wantCredentials(t, "https://issuer/") {
		want = append(want, azCall{"identity", "federated-credential", "create", "--resource-group", "my group", "--identity-name", "airflow-aks", "--name", c.name,
			"--issuer", c.issuer, "--subject", c.subject, "--audiences", c.audience, "--output", "none"})
	}
	for _, role := range []struct{ id, scope string }{{clusterUser, ""}, {rbacWriter, "/namespaces/" + podsNamespace(t)}} {
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
	if out, err := exec.Command("bash", "-n", "azure/setup.sh").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// setup.sh asks for nothing more once something is missing or fails.
func TestExampleSetupStopsOnError(t *testing.T) {
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

	bicepName = regexp.MustCompile(`(?m)^(param|var) (\w+)`)

	bicepDefault = regexp.MustCompile(`(?m)^(?:param|var) (\w+)(?: string)? = (?:\[)?'([^']*)'\]?$`)

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
	var got []federatedCredential
	before := ""
	for _, r := range all {
		if r.kind != "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials" {
			continue
		}
		p := r.properties
		subject := strings.ReplaceAll(p["subject"], "${airflowNamespace}", defaults["airflowNamespace"])
		got = append(got, federatedCredential{strings.Trim(p["name"], "'"), p["issuer"], strings.Trim(subject, "'"), defaults[p["audiences"]]})
		if p["parent"] != "identity" || p["dependsOn"] != before {
			t.Errorf("%s: %v, want it to depend on %q", r.name, p, before)
		}
		before = "[" + r.name + "]"
	}
	if want := wantCredentials(t, "issuer"); !reflect.DeepEqual(got, want) {
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
	if !maps.Equal(scopes, want) || defaults["podNamespace"] != podsNamespace(t) || defaults["identityName"] != shellDefault(t, "IDENTITY") {
		t.Errorf("roles %v, want %v; %v", scopes, want, defaults)
	}
}

const rbacGroup = "rbac.authorization.k8s.io"

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
	here := metadata{"airflow-pods", podsNamespace(t)}
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
		!slices.Equal(b.Subjects, []reference{{rbacGroup, "User", placeholderID}}) {
		t.Errorf("%+v", b)
	}
}
