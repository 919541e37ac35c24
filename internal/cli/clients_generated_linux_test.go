package cli

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
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

// clusterFlagSets are command lines, by a name for each; in braces is what a workspace has.
var clusterFlagSets = map[string][]string{
	"server":  {"--server", "{api}", "--certificate-authority", "{dir}/ca.crt", "-n", podNamespace},
	"context": {"--kubeconfig", "{dir}/old/config", "--context", "old"},
	"azure":   {"--resource-id", clusterID, "-n", podNamespace},
	"odd":     {"--kubeconfig", "{dir}/old/config", "--name", `a'b"c$(d)\ é: yes`},
}

// formatsByExtension are the forms that are written, by the ends of their files' names.
var formatsByExtension = map[string]string{".yaml": "yaml", ".json": "json", ".connection": "airflow-connection", ".env": "airflow-env", ".uri": "airflow-uri"}

// workspace holds what the program writes: a kubeconfig and all connections, for each way to one
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
	s.RegisterCluster(entratest.Cluster{Tenant: tenant, ID: clusterID, Users: []string{client}, Kubeconfig: config})
	for file, content := range map[string]string{
		"ca.crt": string(ca), "old/pki/ca.crt": string(ca), "token": s.Assertion(entratest.Claims{Subject: subject}),
		"old/config": `{"current-context": "old", "contexts": [{"name": "old", "context": {"cluster": "c", "namespace": "` + podNamespace + `"}}],
			"clusters": [{"name": "c", "cluster": {"server": "` + w.api.URL + `", "certificate-authority": "pki/ca.crt"}}]}`,
	} {
		file = filepath.Join(w.dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for way, flags := range clusterFlagSets {
		for end, form := range formatsByExtension {
			w.write(t, way, form, w.file(way+end), flags)
		}
	}
	s.ResetCounters()
	return w
}

func (w *workspace) file(name string) string { return filepath.Join(w.dir, name) }

// files are those with one of the ends, in order.
func (w *workspace) files(ends ...string) []string {
	var files []string
	for _, way := range slices.Sorted(maps.Keys(clusterFlagSets)) {
		for _, end := range ends {
			files = append(files, w.file(way+end))
		}
	}
	return files
}

func (w *workspace) write(t *testing.T, way, form, file string, flags []string) {
	t.Helper()
	args := []string{"kubeconfig", "--tenant-id", tenant, "--client-id", client, "--command", programPath(t), "--disable-instance-discovery", "-o", form, "--output-file", file}
	if form == "airflow-env" {
		args = append(args, "--connection-id", way)
	}
	for _, flag := range flags {
		args = append(args, strings.NewReplacer("{api}", w.api.URL, "{dir}", w.dir).Replace(flag))
	}
	cmd := exec.Command(programPath(t), args...)
	cmd.Env = []string{"HOME=" + w.dir, "HTTPS_PROXY=" + w.entra.ProxyURL, "SSL_CERT_FILE=" + w.entra.CAFile, "AZURE_FEDERATED_TOKEN_FILE=" + w.file("token")}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%s: %v %s", args, err, out)
	}
}

// env is the environment of a client in a pod, where Entra ID is the emulator.
func (w *workspace) env() map[string]string {
	return map[string]string{
		"HOME": w.dir, "SSL_CERT_FILE": w.entra.CAFile, "AZURE_AUTHORITY_HOST": w.entra.URL, "AZURE_FEDERATED_TOKEN_FILE": w.file("token"),
		"AZURE_CLIENT_ID": otherClient, "AZURE_TENANT_ID": otherTenant, // the platform's own
	}
}

// run runs a client in that environment and returns the lines that it prints.
func (w *workspace) run(t *testing.T, command ...string) []string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	for name, value := range w.env() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, out, words.String())
	}
	return strings.Fields(strings.ReplaceAll(string(out), " ", "=")) // a line is a word now
}

// newPodsServer is an API server with one pod, which is called after who asks for it with a token
// of the emulator.
func newPodsServer(t *testing.T, s *entratest.Server) *httptest.Server {
	list := func(kind, version string, fields map[string]any) any {
		all := map[string]any{"kind": kind, "apiVersion": version}
		maps.Copy(all, fields)
		return all
	}
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims, err := s.Verify(bearer, entratest.AKSServerID)
		answers := map[string]any{
			"/api":    list("APIVersions", "v1", map[string]any{"versions": []string{"v1"}}),
			"/apis":   list("APIGroupList", "v1", map[string]any{"groups": []any{}}),
			"/api/v1": list("APIResourceList", "v1", map[string]any{"groupVersion": "v1", "resources": []any{map[string]any{"name": "pods", "namespaced": true, "kind": "Pod", "verbs": []string{"list"}}}}),
			"/api/v1/namespaces/" + podNamespace + "/pods": list("PodList", "v1", map[string]any{
				"metadata": map[string]any{}, "items": []any{map[string]any{"kind": "Pod", "apiVersion": "v1", "metadata": map[string]any{"name": "pod-of-" + toString(claims["appid"]), "namespace": podNamespace}}},
			}),
		}
		w.Header().Set("Content-Type", "application/json")
		answer, status := answers[r.URL.Path], http.StatusOK
		if err != nil || answer == nil {
			status = map[bool]int{true: http.StatusUnauthorized, false: http.StatusNotFound}[err != nil]
			answer = list("Status", "v1", map[string]any{"status": "Failure", "code": status})
		}
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(api.Close)
	return api
}

func toString(v any) string { s, _ := v.(string); return s }

// All kinds of clients use all that the program writes, and all of them together cost one token.
func TestGeneratedKubeconfigs(t *testing.T) {
	w := newWorkspace(t)
	for _, client := range []struct {
		name string
		use  func(*testing.T, *workspace)
	}{{"client-go", useClientGo}, {"kubectl", useKubectl}, {"python", usePython}, {"javascript", useJavaScript}} {
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
		if got := w.run(t, kubectl, "--kubeconfig", file, "get", "pods", "-o", "name"); !slices.Equal(got, []string{"pod/" + podName}) {
			t.Errorf("%s: %q", file, got)
		}
	}
}

func usePython(t *testing.T, w *workspace) {
	python := cmp.Or(os.Getenv("AKSLOGIN_TEST_PYTHON"), "/usr/bin/python3") // the distribution's, with the distribution's packages
	if out, err := exec.Command(python, "-c", "import kubernetes").CombinedOutput(); err != nil {
		skipUnlessRequired(t, "no Python client here (apt-get install python3-kubernetes): "+string(out))
	}
	var uses, want []string
	use := func(form, value string) {
		uses, want = append(uses, form+"="+value), append(want, form+"="+podName)
	}
	for _, end := range []struct{ end, form string }{{".yaml", "kubeconfig"}, {".json", "kubeconfig"}, {".connection", "connection"}, {".uri", "uri"}} {
		for _, file := range w.files(end.end) {
			use(end.form, file)
		}
	}
	for way := range clusterFlagSets {
		use("variable", "AIRFLOW_CONN_"+strings.ToUpper(way))
	}
	shell := []string{"sh", "-ec", `set -a; for file in "$HOME"/*.env; do . "$file"; done; exec "$@"`, "sh", python, "testdata/python/list_pods.py", podNamespace}
	if got := w.run(t, append(shell, uses...)...); !slices.Equal(got, want) {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func useJavaScript(t *testing.T, w *workspace) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "akslogin-test")
	if named := os.Getenv("AKSLOGIN_TEST_DEPS"); named != "" {
		folder = named
	}
	folder = filepath.Join(folder, "javascript")
	node, err := exec.LookPath("node")
	if err != nil {
		skipUnlessRequired(t, "no node here")
	}
	wanted, err := os.ReadFile("testdata/javascript/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if installed, err := os.ReadFile(filepath.Join(folder, "package-lock.json")); err != nil || !bytes.Equal(installed, wanted) {
		skipUnlessRequired(t, "no JavaScript client of the right version in "+folder+" (make clients)")
	}
	files := w.files(".yaml", ".json")
	got := w.run(t, append([]string{node, "testdata/javascript/list_pods.mjs", folder, podNamespace}, files...)...)
	if want := slices.Repeat([]string{"kubeconfig=" + podName}, len(files)); !slices.Equal(got, want) {
		t.Errorf("printed %q, want %q", got, want)
	}
}
