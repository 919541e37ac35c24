package examples

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
	"go.yaml.in/yaml/v3"
)

const (
	placeholderID = "00000000-0000-0000-0000-000000000000" // what is to be replaced
	clusterUser   = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"
	rbacWriter    = "a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb"
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
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name := filepath.ToSlash(path)
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
	raw, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}

var (
	guid        = regexp.MustCompile(`(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	placeholder = regexp.MustCompile(`<[^<>\n]*[^A-Z<> \n][^<>\n]*>`)
)

// checkPlaceholders finds what people would have to replace and would not recognise, or somebody's
// own IDs.
func checkPlaceholders(t *testing.T, raw string) {
	for _, id := range guid.FindAllString(raw, -1) {
		if !slices.Contains([]string{placeholderID, clusterUser, rbacWriter, entratest.AKSServerID}, id) {
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

// podsNamespace is the namespace where all examples run their pods: what setup.sh gives rights in.
func podsNamespace(t *testing.T) string { return shellDefault(t, "POD_NAMESPACE") }

// shellDefault is what setup.sh takes for a variable that is not set.
func shellDefault(t *testing.T, variable string) string {
	t.Helper()
	found := regexp.MustCompile(`\$\{` + variable + `:-([a-z-]+)\}`).FindStringSubmatch(exampleFile(t, "azure/setup.sh"))
	if found == nil {
		t.Fatalf("setup.sh has no default for %s", variable)
	}
	return found[1]
}

// READMEs

var (
	readmeLink = regexp.MustCompile(`\]\(([^):]+)\)`)
)

// checkReadme follows the links. TestReadmeCommandsParse reads the command lines.
func checkReadme(t *testing.T, raw string) {
	for _, found := range readmeLink.FindAllStringSubmatch(raw, -1) {
		if _, err := os.Stat(filepath.Join("astro", filepath.FromSlash(found[1]))); err != nil { // all three lie at the same depth
			t.Error(err)
		}
	}
}
