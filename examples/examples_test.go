// Package examples tests that the example files work: that they parse, fit each other, and contain
// only placeholders to replace.
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
	placeholderID = "00000000-0000-0000-0000-000000000000" // users replace it
	clusterUser   = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"
	rbacWriter    = "a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb"
)

// exampleDirs are the directories whose files must all be in exampleChecks.
var exampleDirs = []string{"astro", "airflow", "azure"}

// exampleChecks maps every file to its check.
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
	"airflow/Dockerfile":          checkDockerfile(`apache/airflow:\d+\.\d+\.\d+`, "RUN pip install --no-cache-dir akslogin"),
	"airflow/README.md":           checkReadme,
	"airflow/init-container.yaml": checkInitContainer,
	"airflow/values.yaml":         checkValues,
	"azure/README.md":             checkReadme,
	"azure/main.bicep":            checkBicep,
	"azure/rbac.yaml":             checkRBAC,
	"azure/setup.sh":              checkSetup,
}

func TestExampleFiles(t *testing.T) {
	missing := maps.Clone(exampleChecks)
	for _, dir := range exampleDirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name := filepath.ToSlash(path)
			t.Run(name, func(t *testing.T) {
				check := exampleChecks[name]
				if check == nil {
					t.Fatal("exampleChecks has no check for this file")
				}
				raw := exampleFile(t, name)
				checkPlaceholders(t, raw)
				check(t, raw)
			})
			delete(missing, name)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for name := range missing {
		t.Errorf("%s does not exist", name)
	}
}

// exampleFile returns the content of a file, with LF line endings.
func exampleFile(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}

var (
	guid               = regexp.MustCompile(`(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	invalidPlaceholder = regexp.MustCompile(`<[^<>\n]*[^A-Z<> \n][^<>\n]*>`)
)

// checkPlaceholders checks that a file has no placeholders that users would not recognize, and no
// IDs of real tenants or applications.
func checkPlaceholders(t *testing.T, raw string) {
	allowed := []string{placeholderID, clusterUser, rbacWriter, entratest.AKSServerID}
	for _, id := range guid.FindAllString(raw, -1) {
		if !slices.Contains(allowed, id) {
			t.Errorf("%s is not zeros, nor the ID of a role or of the AKS server application", id)
		}
	}
	if found := invalidPlaceholder.FindString(raw); found != "" {
		t.Errorf("%s is not a <PLACEHOLDER>", found)
	}
}

// unmarshalYAML decodes the only YAML or JSON document in raw, without unknown fields.
func unmarshalYAML(t *testing.T, raw string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one document: %v", err)
	}
}

// podsNamespace returns the namespace in which all examples run pods, and in which setup.sh grants
// access.
func podsNamespace(t *testing.T) string { return shellDefault(t, "POD_NAMESPACE") }

// shellDefault returns the default of a variable in setup.sh.
func shellDefault(t *testing.T, variable string) string {
	t.Helper()
	pattern := regexp.MustCompile(`\$\{` + variable + `:-([a-z-]+)\}`)
	match := pattern.FindStringSubmatch(exampleFile(t, "azure/setup.sh"))
	if match == nil {
		t.Fatalf("setup.sh has no default for %s", variable)
	}
	return match[1]
}

// READMEs

var readmeLink = regexp.MustCompile(`\]\(([^):]+)\)`)

// checkReadme checks that the targets of relative links exist. In internal/cli,
// TestReadmeCommandsParse checks the command lines.
func checkReadme(t *testing.T, raw string) {
	for _, link := range readmeLink.FindAllStringSubmatch(raw, -1) {
		// Every README is one directory deep, so a link resolves alike from each of them.
		if _, err := os.Stat(filepath.Join("astro", filepath.FromSlash(link[1]))); err != nil {
			t.Error(err)
		}
	}
}
