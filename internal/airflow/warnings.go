package airflow

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/token"
)

// environmentWarnings are known conditions that break a valid kubeconfig, with what to do.
var environmentWarnings = []struct {
	applies func(connection bool, m token.Method, getenv func(string) string) bool
	text    string
}{
	{
		func(connection bool, _ token.Method, getenv func(string) string) bool {
			return connection && getenv("KUBECONFIG") != ""
		},
		"KUBECONFIG is set here; if Airflow has it too, deferrable tasks read its file in " +
			"addition to the connection " +
			"and fail with \"mutually exclusive\": unset it there (ENV in the Dockerfile)",
	},
	{
		func(connection bool, _ token.Method, getenv func(string) string) bool {
			return !connection && getenv("KUBERNETES_SERVICE_HOST") != ""
		},
		"this is a pod: with an empty connection, Airflow talks to the pod's own cluster, not to " +
			"the one in ~/.kube/config; " +
			"set the connection's kube_config_path to the kubeconfig's absolute path, or write a " +
			"connection with --output airflow-connection",
	},
	{
		func(connection bool, m token.Method, _ func(string) string) bool { return connection && m.Interactive },
		"this login needs a person, but Airflow cannot ask anybody: use --login " +
			"workloadidentity, or another login for programs",
	},
}

// brokenReleases are releases of Python packages that break exec plugins, from the first to the
// last of each.
var brokenReleases = []struct {
	distribution, from, to string // distribution as in the name of its metadata folder
	text                   string
	onlyWith               []string // variables of which one has to be set; nil: always
}{
	// https://github.com/kubernetes-client/python/issues/2356
	{"kubernetes", "32.0.0", "32.0.0", "runs the plugin without its arguments: install 32.0.1 or another release", nil},
	// https://github.com/kubernetes-client/python/issues/2582
	{"kubernetes", "36.0.0", "36.0.0", "does not send the plugin's token: install 36.0.1 or another release", nil},
	// https://github.com/apache/airflow/issues/61737
	{"apache_airflow_providers_cncf_kubernetes", "10.12.3", "10.16.0",
		"keeps the first token in deferrable tasks, which fail with 401 when it expires: install " +
			"10.16.1 or newer, or set deferrable=False", nil},
	// https://github.com/kubernetes-client/python/issues/2460
	{"kubernetes", "34.0.0", "35.99.99",
		"ignores NO_PROXY, so with HTTPS_PROXY set requests to the cluster go through the proxy too: " +
			"unset it for Airflow, and set it only for the plugin with --env HTTPS_PROXY=...",
		[]string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"}},
}

// Warnings returns what may break a kubeconfig with this login method on this machine. connection
// says that an Airflow connection holds the kubeconfig.
func Warnings(connection bool, m token.Method, getenv func(string) string) (texts []string) {
	for _, w := range environmentWarnings {
		if w.applies(connection, m, getenv) {
			texts = append(texts, w.text)
		}
	}
	for _, broken := range brokenReleases {
		if broken.onlyWith != nil && !slices.ContainsFunc(broken.onlyWith, func(v string) bool { return getenv(v) != "" }) {
			continue
		}
		name := strings.ReplaceAll(broken.distribution, "_", "-")
		for _, r := range installedReleases(broken.distribution, getenv) {
			if compareVersions(r.version, broken.from) >= 0 && compareVersions(r.version, broken.to) <= 0 {
				texts = append(texts, fmt.Sprintf("Python's %s %s (in %s) %s", name, r.version, r.folder, broken.text))
			}
		}
	}
	return texts
}

type release struct{ version, folder string }

// installedReleases finds a Python package by its metadata in the usual folders. It does not run
// Python, which may not be installed.
func installedReleases(distribution string, getenv func(string) string) (found []release) {
	prefix, suffix := distribution+"-", ".dist-info"
	for _, folder := range sitePackages(getenv) {
		paths, _ := filepath.Glob(filepath.Join(folder, prefix+"*"+suffix)) // The pattern is valid.
		for _, path := range paths {
			version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), prefix), suffix)
			found = append(found, release{version, filepath.Dir(path)})
		}
	}
	return found
}

// sitePackages returns glob patterns of Python's package folders, the user's own first.
func sitePackages(getenv func(string) string) (patterns []string) {
	roots := []string{"/home/airflow/.local", "/home/astro/.local", "/usr/local", "/usr"}
	if home := cmp.Or(getenv("HOME"), getenv("USERPROFILE")); home != "" {
		roots = slices.Insert(roots, 0, filepath.Join(home, ".local"))
	}
	if virtual := getenv("VIRTUAL_ENV"); virtual != "" {
		roots = slices.Insert(roots, 0, virtual)
	}
	for _, root := range roots {
		for _, packages := range []string{"site-packages", "dist-packages"} {
			p := filepath.Join(root, "lib", "python3*", packages)
			if !slices.Contains(patterns, p) {
				patterns = append(patterns, p)
			}
		}
	}
	return patterns
}

// compareVersions compares the first three numbers of two versions. A release candidate equals its
// release.
func compareVersions(a, b string) int {
	numbers := func(version string) []int {
		n := make([]int, 3)
		fmt.Sscanf(version, "%d.%d.%d", &n[0], &n[1], &n[2])
		return n
	}
	return slices.Compare(numbers(a), numbers(b))
}
