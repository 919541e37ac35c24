package cli

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	podNamespace = "airflow"
	podName      = "pod-of-" + client
)

// clusterSources are flags that name the cluster, by a name for each. Braces are placeholders for
// values of a workspace.
var clusterSources = map[string][]string{
	"server":  {"--server", "{api}", "--certificate-authority", "{dir}/ca.crt", "-n", podNamespace},
	"context": {"--kubeconfig", "{dir}/old/config", "--context", "old"},
	"azure":   {"--resource-id", clusterID, "-n", podNamespace},
	"odd":     {"--kubeconfig", "{dir}/old/config", "--name", `a'b"c$(d)\ é: yes`},
}

// formatsByExtension maps the extensions of output files to their formats.
var formatsByExtension = map[string]string{
	".yaml":       "yaml",
	".json":       "json",
	".connection": "airflow-connection",
	".env":        "airflow-env",
	".uri":        "airflow-uri",
}

// workspace holds what the program writes: a kubeconfig and all connections, for each source to one
// cluster.
type workspace struct {
	dir   string
	entra *entratest.Server
	api   *httptest.Server
}

func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	s := entratest.New(t)
	registerFixtures(s)
	w := &workspace{t.TempDir(), s, newPodsServer(t, s)}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.api.Certificate().Raw})
	config := strings.NewReplacer(
		"https://workers-%s.hcp.westeurope.azmk8s.io:443", w.api.URL,
		"Y2VydGlmaWNhdGU=", base64.StdEncoding.EncodeToString(ca),
	).Replace(aksKubeconfig)
	s.RegisterCluster(entratest.Cluster{
		Tenant: tenant, ID: clusterID, Users: []string{client}, Kubeconfig: config,
	})
	const oldConfig = `{"current-context": "old",
		"contexts": [{"name": "old", "context": {"cluster": "c", "namespace": "%s"}}],
		"clusters": [{"name": "c",
			"cluster": {"server": "%s", "certificate-authority": "pki/ca.crt"}}]}`
	for file, content := range map[string]string{
		"ca.crt":         string(ca),
		"token":          s.Assertion(entratest.Claims{Subject: subject}),
		"old/pki/ca.crt": string(ca),
		"old/config":     fmt.Sprintf(oldConfig, podNamespace, w.api.URL),
	} {
		file = filepath.Join(w.dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for source, flags := range clusterSources {
		for ext, format := range formatsByExtension {
			w.write(t, source, format, w.file(source+ext), flags)
		}
	}
	s.ResetCounters()
	return w
}

func (w *workspace) file(name string) string { return filepath.Join(w.dir, name) }

// files returns the output files with one of these extensions, in the order of their sources.
func (w *workspace) files(exts ...string) []string {
	var files []string
	for _, source := range slices.Sorted(maps.Keys(clusterSources)) {
		for _, ext := range exts {
			files = append(files, w.file(source+ext))
		}
	}
	return files
}

// write runs the program to write an output file.
func (w *workspace) write(t *testing.T, source, format, file string, flags []string) {
	t.Helper()
	args := []string{
		"kubeconfig", "--tenant-id", tenant, "--client-id", client,
		"--command", programPath(t), "--disable-instance-discovery",
		"-o", format, "--output-file", file,
	}
	if format == "airflow-env" {
		args = append(args, "--connection-id", source)
	}
	placeholders := strings.NewReplacer("{api}", w.api.URL, "{dir}", w.dir)
	for _, flag := range flags {
		args = append(args, placeholders.Replace(flag))
	}
	cmd := exec.Command(programPath(t), args...)
	cmd.Env = []string{
		"HOME=" + w.dir, "HTTPS_PROXY=" + w.entra.ProxyURL, "SSL_CERT_FILE=" + w.entra.CAFile,
		"AZURE_FEDERATED_TOKEN_FILE=" + w.file("token"),
	}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%s: %v %s", args, err, out)
	}
}

// env returns the environment of a client in a pod. Entra ID is the emulator, and the platform's
// own identity differs from the one in the output files.
func (w *workspace) env() map[string]string {
	return map[string]string{
		"HOME": w.dir, "SSL_CERT_FILE": w.entra.CAFile, "AZURE_AUTHORITY_HOST": w.entra.URL,
		"AZURE_CLIENT_ID": otherClient, "AZURE_TENANT_ID": otherTenant,
		"AZURE_FEDERATED_TOKEN_FILE": w.file("token"),
	}
}

// run runs a client in that environment, and returns the lines of its output with = for a blank.
func (w *workspace) run(t *testing.T, command ...string) []string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	for name, value := range w.env() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, out, stderr.String())
	}
	return strings.Fields(strings.ReplaceAll(string(out), " ", "="))
}

// podsServerPaths are the responses of newPodsServer by path. In the last one %s is the name of the
// pod.
var podsServerPaths = map[string]string{
	"/api":  `{"kind":"APIVersions","apiVersion":"v1","versions":["v1"]}`,
	"/apis": `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
	"/api/v1": `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[
		{"name":"pods","namespaced":true,"kind":"Pod","verbs":["list"]}]}`,
	"/api/v1/namespaces/" + podNamespace + "/pods": `{"kind":"PodList","apiVersion":"v1",
		"metadata":{},"items":[{"kind":"Pod","apiVersion":"v1",
		"metadata":{"name":"%s","namespace":"` + podNamespace + `"}}]}`,
}

// newPodsServer starts an API server with one pod. It accepts the emulator's tokens, and names the
// pod after the caller.
func newPodsServer(t *testing.T, s *entratest.Server) *httptest.Server {
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims, err := s.Verify(bearer, entratest.AKSServerID)
		body, status := podsServerPaths[r.URL.Path], http.StatusOK
		switch {
		case err != nil:
			status = http.StatusUnauthorized
		case body == "":
			status = http.StatusNotFound
		}
		if status != http.StatusOK {
			const failure = `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d}`
			body = fmt.Sprintf(failure, status)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, strings.Replace(body, "%s", "pod-of-"+toString(claims["appid"]), 1))
	}))
	t.Cleanup(api.Close)
	return api
}

func toString(v any) string { s, _ := v.(string); return s }

// TestGeneratedKubeconfigs checks that all clients can use all output files, and that together they
// cost one token.
func TestGeneratedKubeconfigs(t *testing.T) {
	skipIfShort(t, "real clients")
	w := newWorkspace(t)
	for _, client := range []struct {
		name string
		use  func(*testing.T, *workspace)
	}{
		{"client-go", useClientGo},
		{"kubectl", useKubectl},
		{"python", usePython},
		{"javascript", useJavaScript},
	} {
		t.Run(client.name, func(t *testing.T) { client.use(t, w) })
	}
	if w.entra.TokenRequests() != 1 {
		t.Errorf("%d token requests, want 1", w.entra.TokenRequests())
	}
}

func useClientGo(t *testing.T, w *workspace) {
	for _, file := range w.files(".yaml", ".json") {
		config, err := clientcmd.LoadFromFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range w.env() {
			e := config.AuthInfos[config.CurrentContext].Exec
			e.Env = append(e.Env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
		}
		loaded := clientcmd.NewDefaultClientConfig(*config, nil)
		namespace, _, _ := loaded.Namespace()
		transport, err := loaded.ClientConfig()
		if err != nil {
			t.Fatal(err)
		}
		hc, err := rest.HTTPClientFor(transport)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Get(w.api.URL + "/api/v1/namespaces/" + namespace + "/pods")
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !bytes.Contains(body, []byte(podName)) {
			t.Errorf("%s: %s: %s", file, resp.Status, body)
		}
	}
}

func useKubectl(t *testing.T, w *workspace) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("no kubectl here")
	}
	for _, file := range w.files(".yaml", ".json") {
		got := w.run(t, kubectl, "--kubeconfig", file, "get", "pods", "-o", "name")
		if !slices.Equal(got, []string{"pod/" + podName}) {
			t.Errorf("%s: %q", file, got)
		}
	}
}

func usePython(t *testing.T, w *workspace) {
	// The distribution's Python has the distribution's packages.
	python := cmp.Or(os.Getenv("AKSLOGIN_TEST_PYTHON"), "/usr/bin/python3")
	if out, err := exec.Command(python, "-c", "import kubernetes").CombinedOutput(); err != nil {
		skipUnlessRequired(t, "no Python client (apt-get install python3-kubernetes): "+string(out))
	}
	var args, want []string
	add := func(kind, value string) {
		args, want = append(args, kind+"="+value), append(want, kind+"="+podName)
	}
	for _, file := range w.files(".yaml", ".json") {
		add("kubeconfig", file)
	}
	for _, file := range w.files(".connection") {
		add("connection", file)
	}
	for _, file := range w.files(".uri") {
		add("uri", file)
	}
	for source := range clusterSources {
		add("variable", "AIRFLOW_CONN_"+strings.ToUpper(source))
	}
	const sourceFiles = `set -a; for file in "$HOME"/*.env; do . "$file"; done; exec "$@"`
	command := []string{
		"sh", "-ec", sourceFiles, "sh", python, "testdata/python/list_pods.py", podNamespace,
	}
	if got := w.run(t, append(command, args...)...); !slices.Equal(got, want) {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func useJavaScript(t *testing.T, w *workspace) {
	userCache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	deps := cmp.Or(os.Getenv("AKSLOGIN_TEST_DEPS"), filepath.Join(userCache, "akslogin-test"))
	folder := filepath.Join(deps, "javascript")
	node, err := exec.LookPath("node")
	if err != nil {
		skipUnlessRequired(t, "node is not installed")
	}
	lock, err := os.ReadFile("testdata/javascript/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	installed, err := os.ReadFile(filepath.Join(folder, "package-lock.json"))
	if err != nil || !bytes.Equal(installed, lock) {
		skipUnlessRequired(t, "no current JavaScript client in "+folder+" (make clients)")
	}
	files := w.files(".yaml", ".json")
	command := []string{node, "testdata/javascript/list_pods.mjs", folder, podNamespace}
	got := w.run(t, append(command, files...)...)
	want := slices.Repeat([]string{"kubeconfig=" + podName}, len(files))
	if !slices.Equal(got, want) {
		t.Errorf("printed %q, want %q", got, want)
	}
}
