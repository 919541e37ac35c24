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

// federatedCredential is a federated credential of a managed identity.
type federatedCredential struct{ name, issuer, subject, audience string }

// wantCredentials returns the federated credentials that the service accounts in the chart's values
// need.
func wantCredentials(t *testing.T, issuer string) (all []federatedCredential) {
	t.Helper()
	var v chartValues
	unmarshalYAML(t, exampleFile(t, "airflow/values.yaml"), &v)
	namespace := shellDefault(t, "AIRFLOW_NAMESPACE")
	for _, account := range v.serviceAccounts() {
		all = append(all, federatedCredential{
			name:     account,
			issuer:   issuer,
			subject:  "system:serviceaccount:" + namespace + ":" + account,
			audience: "api://AzureADTokenExchange",
		})
	}
	return all
}

// setup.sh

// fakeAz is a substitute for the Azure CLI. It logs its arguments, one a line, and prints what az
// would print.
const fakeAz = `#!/usr/bin/env bash
{ printf '%s\n' "$@"; echo; } >>"$AZ_CALLS"
case "$1 $2" in
"$AZ_FAILS") echo refused >&2; exit 1 ;;
"aks show") echo /subscriptions/s/clusters/c ;;
"identity create") printf '%s\n' $AZ_IDENTITY ;;
esac
`

// azCall holds the arguments of one call of az.
type azCall []string

// runSetup runs setup.sh with fakeAz. It returns the calls of az, the output, and the script's
// error.
func runSetup(t *testing.T, variables ...string) (calls []azCall, out string, err error) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("no bash: ", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte(fakeAz), 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "calls")
	run := exec.Command(bash, "azure/setup.sh")
	run.Env = append([]string{
		"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH"),
		"AZ_CALLS=" + log, "AZ_FAILS=", "AZ_IDENTITY=client tenant principal",
	}, variables...)
	raw, err := run.CombinedOutput()
	logged, readErr := os.ReadFile(log)
	if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
		t.Fatal(readErr)
	}
	for block := range strings.SplitSeq(strings.TrimSuffix(string(logged), "\n\n"), "\n\n") {
		if block != "" {
			calls = append(calls, strings.Split(block, "\n"))
		}
	}
	return calls, string(raw), err
}

var setupVariables = []string{"RESOURCE_GROUP=my group", "CLUSTER=c", "ISSUER=https://issuer/"}

func checkSetup(t *testing.T, raw string) {
	if !strings.HasPrefix(raw, "#!/usr/bin/env bash\n") ||
		!strings.Contains(raw, "\nset -euo pipefail\n") {
		t.Error("the script does not stop at an error")
	}
	want := []azCall{
		{"aks", "show", "--resource-group", "my group", "--name", "c", "--query", "id", "--output", "tsv"},
		{"identity", "create", "--resource-group", "my group", "--name", "airflow-aks", "--query", "[clientId, tenantId, principalId]", "--output", "tsv"},
	}
	for _, c := range wantCredentials(t, "https://issuer/") {
		want = append(want, azCall{
			"identity", "federated-credential", "create", "--resource-group", "my group",
			"--identity-name", "airflow-aks", "--name", c.name, "--issuer", c.issuer,
			"--subject", c.subject, "--audiences", c.audience, "--output", "none",
		})
	}
	const cluster = "/subscriptions/s/clusters/c"
	for _, role := range []struct{ id, scope string }{
		{clusterUser, cluster},
		{rbacWriter, cluster + "/namespaces/" + podsNamespace(t)},
	} {
		want = append(want, azCall{
			"role", "assignment", "create", "--assignee-object-id", "principal",
			"--assignee-principal-type", "ServicePrincipal", "--role", role.id,
			"--scope", role.scope, "--output", "none",
		})
	}
	const wantOut = "client ID: client\ntenant ID: tenant\n" +
		"principal ID (for rbac.yaml): principal\n"
	for range 2 {
		calls, out, err := runSetup(t, setupVariables...)
		if err != nil || !reflect.DeepEqual(calls, want) {
			t.Fatalf("%v\n%s\n%q\nwant\n%q", err, out, calls, want)
		}
		if out != wantOut {
			t.Errorf("printed %s", out)
		}
	}
	if out, err := exec.Command("bash", "-n", "azure/setup.sh").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestExampleSetupStopsOnError checks that setup.sh calls az no more after an error.
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
	bicepResourcePattern = regexp.MustCompile(
		`(?ms)^resource (\w+) '([\w./]+)@\d{4}-\d{2}-\d{2}' (existing )?= \{\n(.*?)^\}$`)
	bicepName    = regexp.MustCompile(`(?m)^(param|var) (\w+)`)
	bicepDefault = regexp.MustCompile(
		`(?m)^(?:param|var) (\w+)(?: string)? = (?:\[)?'([^']*)'\]?$`)
	bicepProperty = regexp.MustCompile(`(?m)^ +(\w+): (.*[^{\n])$`)
)

// bicepResource is a resource of a Bicep file. Its properties are the source text of their values.
type bicepResource struct {
	kind, name string
	properties map[string]string
}

// checkBicep checks brackets, unused names, credentials and roles of a Bicep file.
func checkBicep(t *testing.T, raw string) {
	noURLs := strings.ReplaceAll(raw, "api://", "api:")
	code := regexp.MustCompile(`(?m)//.*$`).ReplaceAllString(noURLs, "")
	noStrings := regexp.MustCompile(`'[^'\n]*'`).ReplaceAllString(code, "")
	for _, pair := range []string{"{}", "[]", "()", "''"} {
		if strings.Count(noStrings, pair[:1]) != strings.Count(noStrings, pair[1:]) {
			t.Errorf("%s are not balanced", pair)
		}
	}
	for _, name := range bicepName.FindAllStringSubmatch(code, -1) {
		if uses := regexp.MustCompile(`\b` + name[2] + `\b`); len(uses.FindAllString(code, 2)) < 2 {
			t.Errorf("%s %s is not used", name[1], name[2])
		}
	}
	defaults := map[string]string{}
	for _, match := range bicepDefault.FindAllStringSubmatch(raw, -1) {
		defaults[match[1]] = match[2]
	}
	resources := bicepResources(raw)
	if want := strings.Count(raw, "\nresource "); len(resources) != want {
		t.Fatalf("parsed %d of %d resources", len(resources), want)
	}
	checkBicepCredentials(t, resources, defaults)
	checkBicepRoles(t, resources, defaults)
}

func bicepResources(raw string) (resources []bicepResource) {
	for _, match := range bicepResourcePattern.FindAllStringSubmatch(raw, -1) {
		r := bicepResource{kind: match[2], name: match[1], properties: map[string]string{}}
		for _, p := range bicepProperty.FindAllStringSubmatch(match[4], -1) {
			r.properties[p[1]] = p[2]
		}
		resources = append(resources, r)
	}
	return resources
}

// checkBicepCredentials checks that the federated credentials are those of setup.sh, and that each
// depends on the one before, because Azure refuses to create several at once.
func checkBicepCredentials(t *testing.T, resources []bicepResource, defaults map[string]string) {
	const kind = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
	var got []federatedCredential
	previous := ""
	for _, r := range resources {
		if r.kind != kind {
			continue
		}
		p, namespace := r.properties, defaults["airflowNamespace"]
		subject := strings.ReplaceAll(p["subject"], "${airflowNamespace}", namespace)
		got = append(got, federatedCredential{
			name:     strings.Trim(p["name"], "'"),
			issuer:   p["issuer"],
			subject:  strings.Trim(subject, "'"),
			audience: defaults[p["audiences"]],
		})
		if p["parent"] != "identity" || p["dependsOn"] != previous {
			t.Errorf("%s: %v, want it to depend on %q", r.name, p, previous)
		}
		previous = "[" + r.name + "]"
	}
	if want := wantCredentials(t, "issuer"); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// checkBicepRoles checks that the identity gets exactly the two roles, each at its scope.
func checkBicepRoles(t *testing.T, resources []bicepResource, defaults map[string]string) {
	definition := regexp.MustCompile(
		`^subscriptionResourceId\('Microsoft.Authorization/roleDefinitions', (\w+)\)$`)
	scopes := map[string]string{}
	names := map[string]string{}
	for _, r := range resources {
		p := r.properties
		names[r.name] = r.kind + " " + p["name"]
		if r.kind != "Microsoft.Authorization/roleAssignments" {
			continue
		}
		role := definition.FindStringSubmatch(p["roleDefinitionId"])
		if role == nil || p["principalId"] != "identity.properties.principalId" ||
			p["principalType"] != "'ServicePrincipal'" {
			t.Fatalf("%s: %v", r.name, p)
		}
		want := fmt.Sprintf("guid(%s.id, identity.id, %s)", p["scope"], role[1])
		if p["name"] != want {
			t.Errorf("%s has the name %s, want %s", r.name, p["name"], want)
		}
		scopes[defaults[role[1]]] = names[p["scope"]]
	}
	want := map[string]string{
		clusterUser: "Microsoft.ContainerService/managedClusters clusterName",
		rbacWriter:  "Microsoft.ContainerService/managedClusters/namespaces podNamespace",
	}
	if !maps.Equal(scopes, want) || defaults["podNamespace"] != podsNamespace(t) ||
		defaults["identityName"] != shellDefault(t, "IDENTITY") {
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
		"pods":      {"create", "get", "list", "watch", "patch", "delete"},
		"pods/log":  {"get"},
		"pods/exec": {"create", "get"},
		"events":    {"list", "watch"},
	}
	wantMetadata := metadata{"airflow-pods", podsNamespace(t)}
	if !reflect.DeepEqual(got, want) || r.Kind != "Role" || r.Metadata != wantMetadata ||
		r.APIVersion != rbacGroup+"/v1" {
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
	if b.Kind != "RoleBinding" || b.Metadata != wantMetadata || b.APIVersion != rbacGroup+"/v1" ||
		b.RoleRef != (reference{rbacGroup, "Role", wantMetadata.Name}) ||
		!slices.Equal(b.Subjects, []reference{{rbacGroup, "User", placeholderID}}) {
		t.Errorf("%+v", b)
	}
}
