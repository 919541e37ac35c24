package airflow

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/token"
)

// environmentWarnings are circumstances in which a good kubeconfig does not work, with what to do.
var environmentWarnings = []struct {
	applies func(connection bool, m token.Method, getenv func(string) string) bool
	text    string
}{
	{
		func(connection bool, _ token.Method, getenv func(string) string) bool {
			return connection && getenv("KUBECONFIG") != ""
		},
		"KUBECONFIG is set here; where Airflow has it too, deferrable tasks read its file beside the connection and fail with \"mutually exclusive\": unset it there (ENV in the Dockerfile)",
	},
	{
		func(connection bool, _ token.Method, getenv func(string) string) bool {
			return !connection && getenv("KUBERNETES_SERVICE_HOST") != ""
		},
		"this is a pod, where Airflow with an empty connection talks to the pod's own cluster and not to the one in ~/.kube/config: " +
			"name the kubeconfig by its absolute path in the connection's kube_config_path, or write one with --output airflow-connection",
	},
	{
		func(connection bool, m token.Method, _ func(string) string) bool { return connection && m.Interactive },
		"this login needs a person, and in Airflow nobody can be asked: give --login workloadidentity, or another one for programs",
	},
}

// brokenReleases are releases of Python packages that do not work with an exec plugin, each from
// the first to the last.
var brokenReleases = []struct {
	distribution, from, to string // as the package's metadata folder is named
	text                   string
}{
	// https://github.com/kubernetes-client/python/issues/2356
	{
		"kubernetes",
		"32.0.0",
		"32.0.0",
		"runs the plugin without its arguments: install 32.0.1 or another release",
	},
	// https://github.com/kubernetes-client/python/issues/2582
	{
		"kubernetes",
		"36.0.0",
		"36.0.0",
		"does not send the plugin's token: install 36.0.1 or another release",
	},
	// https://github.com/apache/airflow/issues/61737
	{
		"apache_airflow_providers_cncf_kubernetes",
		"10.12.3",
		"10.16.0",
		"keeps the first token in deferrable tasks, which fail with 401 when it ends: install 10.16.1 or newer, or set deferrable=False",
	},
}

// Warnings are those that apply here to a kubeconfig, or to an Airflow connection that holds one,
// with this login.
func Warnings(connection bool, m token.Method, getenv func(string) string) []string {
	var texts []string
	for _, t := range environmentWarnings {
		if t.applies(connection, m, getenv) {
			texts = append(texts, t.text)
		}
	}
	for _, b := range brokenReleases {
		for _, found := range installedReleases(b.distribution, getenv) {
			if compareVersions(found.version, b.from) >= 0 &&
				compareVersions(found.version, b.to) <= 0 {
				name := strings.ReplaceAll(b.distribution, "_", "-")
				texts = append(
					texts,
					fmt.Sprintf(
						"Python's %s %s (in %s) %s",
						name,
						found.version,
						found.folder,
						b.text,
					),
				)
			}
		}
	}
	return texts
}

type release struct{ version, folder string }

// installedReleases finds a Python package in the folders where images and people have them. It
// asks no Python, which may not be there.
func installedReleases(distribution string, getenv func(string) string) []release {
	var found []release
	for _, folder := range sitePackages(getenv) {
		names, _ := filepath.Glob(
			filepath.Join(folder, distribution+"-*.dist-info"),
		) // no more than a folder name can be wrong
		for _, name := range names {
			version := strings.TrimSuffix(
				strings.TrimPrefix(filepath.Base(name), distribution+"-"),
				".dist-info",
			)
			found = append(found, release{version, filepath.Dir(name)})
		}
	}
	return found
}

// sitePackages are patterns of the folders, the caller's own first.
func sitePackages(getenv func(string) string) []string {
	roots := []string{"/home/airflow/.local", "/home/astro/.local", "/usr/local", "/usr"}
	if home := cmp.Or(getenv("HOME"), getenv("USERPROFILE")); home != "" {
		roots = slices.Insert(roots, 0, filepath.Join(home, ".local"))
	}
	if virtual := getenv("VIRTUAL_ENV"); virtual != "" {
		roots = slices.Insert(roots, 0, virtual)
	}
	var patterns []string
	for _, root := range roots {
		for _, last := range []string{"site-packages", "dist-packages"} {
			if p := filepath.Join(root, "lib", "python3*", last); !slices.Contains(patterns, p) {
				patterns = append(patterns, p)
			}
		}
	}
	return patterns
}

// compareVersions compares the first three numbers of two versions; a candidate counts as its
// release.
func compareVersions(a, b string) int {
	numbers := func(version string) []int {
		n := make([]int, 3)
		fmt.Sscanf(version, "%d.%d.%d", &n[0], &n[1], &n[2])
		return n
	}
	return slices.Compare(numbers(a), numbers(b))
}
