// Package e2e has the tests of the program as it is shipped, between real clients and a real API
// server: see make e2e.
package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestEndToEnd runs everything against one API server, one after the other: the processors are few,
// and tokens are short-lived.
func TestEndToEnd(t *testing.T) {
	c := startCluster(t, homeTenant)
	for name, stanza := range map[string]struct {
		version     string
		clusterInfo bool
	}{"v1": {"v1", false}, "v1beta1": {"v1beta1", false}, "v1-cluster-info": {"v1", true}, "v1beta1-cluster-info": {"v1beta1", true}} {
		t.Run("kubectl/"+name, func(t *testing.T) { testKubectl(t, c, name, stanza.version, stanza.clusterInfo) })
	}
	t.Run("kubectl/fifty at once", func(t *testing.T) { testFiftyAtOnce(t, c) })
	t.Run("client-go/informer outlives its token", func(t *testing.T) { testInformerOutlivesToken(t, c) })
	t.Run("python", func(t *testing.T) { testPython(t, c) })
	t.Run("javascript", func(t *testing.T) { testJavaScript(t, c) })
	t.Run("doctor", func(t *testing.T) { testDoctor(t, c) })
	t.Run("refused", func(t *testing.T) { testRefusedByServer(t, c) })
	t.Run("refused/another cluster", func(t *testing.T) { testOtherCluster(t, c) })
	t.Run("refused by Entra ID", func(t *testing.T) { testRefusedByEntra(t, c) })
	t.Run("forbidden", func(t *testing.T) { testForbidden(t, c) })
}

// expect waits for the audit log to have exactly these events of the workload's user, in this
// order, and no others. Requests to find out what the API server offers are not listed, but must be
// answered.
func (w *workload) expectRequests(t *testing.T, want ...string) {
	t.Helper()
	w.syncAuditLog(t)
	got := w.requests(t)
	if !slices.Equal(got, want) {
		t.Errorf("the API server saw of %s\n  %s\nwant\n  %s", w.objectID(), strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// settle returns when the audit log has all that was answered before. Requests are recorded in the
// moment of their answer, but that is also when a client may go on.
func (w *workload) syncAuditLog(t *testing.T) {
	t.Helper()
	mark := fmt.Sprintf("settled-%d", time.Now().UnixNano())
	get := func() {
		_, err := w.admin.CoreV1().RESTClient().Get().AbsPath("/version").Param("mark", mark).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n <= 2; n++ { // what came before the first is there when the second is
		get()
		eventually(t, func() error {
			if got := len(w.audit(t, func(e event) bool { return strings.HasSuffix(e.RequestURI, mark) })); got != n {
				return fmt.Errorf("%d of %d marks in the audit log", got, n)
			}
			return nil
		})
	}
}

// done lists what the workload's user did, discovery apart.
func (w *workload) requests(t *testing.T) []string {
	t.Helper()
	var got []string
	for _, e := range w.audit(t, func(e event) bool { return e.User.Username == w.objectID() }) {
		if !slices.Contains(e.User.Groups, "system:authenticated") || e.User.UID != w.objectID() {
			t.Errorf("%s is by %+v", e, e.User)
		}
		if e.ObjectRef == nil {
			if e.ResponseStatus.Code != http.StatusOK {
				t.Errorf("discovery: %s", e)
			}
			continue
		}
		got = append(got, e.String())
	}
	return got
}

// used lists the tokens, by their uti claim, that the API server let in of the workload.
func (w *workload) acceptedTokens(t *testing.T) []string {
	t.Helper()
	seen := map[string]bool{}
	var all []string
	for _, e := range w.audit(t, func(e event) bool { return e.User.Username == w.objectID() }) {
		for _, uti := range e.User.Extra["entra.example/uti"] {
			if !seen[uti] {
				seen[uti], all = true, append(all, uti)
			}
		}
	}
	return all
}

// issued lists the tokens, by their uti claim, that Entra ID issued to the workload.
func (w *workload) issuedTokens(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, token := range w.entra.IssuedTokens() {
		all = append(all, claims(t, token)["uti"].(string))
	}
	return all
}

// oneToken: there was one token request, and the API server saw that token only.
func (w *workload) expectOneToken(t *testing.T) {
	t.Helper()
	if w.entra.TokenRequests() != 1 {
		t.Errorf("%d token requests, want 1", w.entra.TokenRequests())
	}
	if used, issued := w.acceptedTokens(t), w.issuedTokens(t); !slices.Equal(used, issued) {
		t.Errorf("the API server let in %q, issued were %q", used, issued)
	}
}

// edit replaces text in the workload's kubeconfig, which must be there once.
func (w *workload) editKubeconfig(t *testing.T, old, new string) {
	t.Helper()
	content, err := os.ReadFile(w.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(content), old) != 1 {
		t.Fatalf("%q is not once in\n%s", old, content)
	}
	if err := os.WriteFile(w.kubeconfig, []byte(strings.Replace(string(content), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

const podManifest = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "task"}, "spec": {"containers": [{"name": "base", "image": "example.invalid/task"}]}}`

func testKubectl(t *testing.T, c *cluster, name, version string, clusterInfo bool) {
	w := c.newWorkload(t, name)
	w.editKubeconfig(t, "client.authentication.k8s.io/v1\n", "client.authentication.k8s.io/"+version+"\n")
	w.editKubeconfig(t, "provideClusterInfo: false", fmt.Sprint("provideClusterInfo: ", clusterInfo))
	manifest := filepath.Join(w.home, "pod.json")
	if err := os.WriteFile(manifest, []byte(podManifest), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ command, prints string }{
		{"auth whoami -o jsonpath={.status.userInfo.username}", w.objectID()},
		{"get pods -o name", ""},
		{"create -f " + manifest + " -o name", "pod/task\n"},
		{"get pods -o name", "pod/task\n"},
		{"get pod task -o jsonpath={.status.phase}", "Pending"}, // there is no node
	} {
		if out, err := w.kubectl(t, strings.Fields(step.command)...); err != nil || out != step.prints {
			t.Errorf("kubectl %s: %q %v", step.command, out, err)
		}
	}
	const clean = `Error from server (Forbidden): pods "task" is forbidden: User "%s" cannot get resource "pods/log" in API group "" in the namespace "%s"`
	if out, err := w.kubectl(t, "logs", "task"); err == nil || out != "" || stderrOf(err) != fmt.Sprintf(clean, w.objectID(), w.namespace) {
		t.Errorf("kubectl logs: %q %v", out, err)
	}
	if out, err := w.kubectl(t, "delete", "pod", "task", "-o", "name"); err != nil || out != "pod/task\n" {
		t.Errorf("kubectl delete: %q %v", out, err)
	}
	w.expectRequests(t,
		"kubectl create selfsubjectreviews 201",
		"kubectl list pods 200",
		"kubectl create pods 201",
		"kubectl list pods 200",
		"kubectl get pods 200",
		"kubectl get pods 200", // logs looks at the pod first
		"kubectl get pods/log 403",
		"kubectl delete pods 200",
		"kubectl get pods 404", // delete waits until it is gone
	)
	w.expectOneToken(t)
}

func testFiftyAtOnce(t *testing.T, c *cluster) {
	w := c.newWorkload(t, "fifty")
	w.entra.SetDelay(2 * time.Second) // so that they do meet
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := w.kubectl(t, "get", "--raw", "/api/v1/namespaces/fifty/pods"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	w.expectRequests(t, slices.Repeat([]string{"kubectl list pods 200"}, 50)...)
	w.expectOneToken(t)
}
