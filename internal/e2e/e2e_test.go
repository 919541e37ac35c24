// Package e2e tests the shipped binary with real clients and a real API server; Entra ID is
// emulated. "make e2e" and "make soak" build the programs and run the tests. It is a module of its
// own, so that Kubernetes is no dependency of akslogin.
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

// TestEndToEnd runs the tests against one API server, one after the other: in parallel they could
// delay each other for longer than a token lives.
func TestEndToEnd(t *testing.T) {
	c := startCluster(t, homeTenant)
	for name, exec := range map[string]struct {
		version     string
		clusterInfo bool
	}{
		"v1":                   {"v1", false},
		"v1beta1":              {"v1beta1", false},
		"v1-cluster-info":      {"v1", true},
		"v1beta1-cluster-info": {"v1beta1", true},
	} {
		t.Run("kubectl/"+name, func(t *testing.T) {
			testKubectl(t, c, name, exec.version, exec.clusterInfo)
		})
	}
	t.Run("kubectl/fifty at once", func(t *testing.T) { testFiftyAtOnce(t, c) })
	t.Run("client-go/informer outlives its token", func(t *testing.T) {
		testInformerOutlivesToken(t, c)
	})
	t.Run("python", func(t *testing.T) { testPython(t, c) })
	t.Run("javascript", func(t *testing.T) { testJavaScript(t, c) })
	t.Run("cluster-inventory-api", func(t *testing.T) { testClusterProfiles(t, c) })
	t.Run("jwt", func(t *testing.T) { testJWTLogin(t, c) })
	t.Run("doctor", func(t *testing.T) { testDoctor(t, c) })
	t.Run("refused", func(t *testing.T) { testRefusedByServer(t, c) })
	t.Run("refused/another cluster", func(t *testing.T) { testOtherCluster(t, c) })
	t.Run("refused by Entra ID", func(t *testing.T) { testRefusedByEntra(t, c) })
	t.Run("forbidden", func(t *testing.T) { testForbidden(t, c) })
}

// expectRequests checks that the workload's user made exactly these requests, in this order. It
// does not count discovery requests, but they must succeed.
func (w *workload) expectRequests(t *testing.T, want ...string) {
	t.Helper()
	w.syncAuditLog(t)
	got := w.requests(t)
	if !slices.Equal(got, want) {
		t.Errorf("requests of %s:\n  %s\nwant\n  %s",
			w.objectID(), strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// syncAuditLog returns when the audit log has all requests that were answered before. The API
// server records a request when it answers, so the client may be faster than the log.
func (w *workload) syncAuditLog(t *testing.T) {
	t.Helper()
	mark := fmt.Sprintf("settled-%d", time.Now().UnixNano())
	get := func() {
		request := w.admin.CoreV1().RESTClient().Get().AbsPath("/version").Param("mark", mark)
		if _, err := request.DoRaw(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	marked := func(e event) bool { return strings.HasSuffix(e.RequestURI, mark) }
	for n := 1; n <= 2; n++ { // with the second mark, everything before the first one is logged
		get()
		eventually(t, func() error {
			if got := len(w.audit(t, marked)); got != n {
				return fmt.Errorf("%d of %d marks in the audit log", got, n)
			}
			return nil
		})
	}
}

// isOwn reports whether an event is a request of the workload's user.
func (w *workload) isOwn(e event) bool { return e.User.Username == w.objectID() }

// requests returns the requests of the workload's user except discovery, as event.String does.
func (w *workload) requests(t *testing.T) []string {
	t.Helper()
	var got []string
	for _, e := range w.audit(t, w.isOwn) {
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

// acceptedTokens returns the uti claims of the workload's tokens that the API server accepted, in
// the order of their first use.
func (w *workload) acceptedTokens(t *testing.T) []string {
	t.Helper()
	seen := map[string]bool{}
	var all []string
	for _, e := range w.audit(t, w.isOwn) {
		for _, uti := range e.User.Extra["entra.example/uti"] {
			if !seen[uti] {
				seen[uti], all = true, append(all, uti)
			}
		}
	}
	return all
}

// issuedTokens returns the uti claims of the tokens that Entra ID issued to the workload.
func (w *workload) issuedTokens(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, token := range w.entra.IssuedTokens() {
		all = append(all, claims(t, token)["uti"].(string))
	}
	return all
}

// expectOneToken checks that there was one token request, and that the API server accepted its
// token and no other.
func (w *workload) expectOneToken(t *testing.T) {
	t.Helper()
	if w.entra.TokenRequests() != 1 {
		t.Errorf("%d token requests, want 1", w.entra.TokenRequests())
	}
	if accepted, issued := w.acceptedTokens(t), w.issuedTokens(t); !slices.Equal(accepted, issued) {
		t.Errorf("the API server accepted %q, Entra ID issued %q", accepted, issued)
	}
}

// editKubeconfig replaces text that the workload's kubeconfig must contain exactly once.
func (w *workload) editKubeconfig(t *testing.T, old, new string) {
	t.Helper()
	content, err := os.ReadFile(w.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(content), old); n != 1 {
		t.Fatalf("%q is %d times in\n%s", old, n, content)
	}
	edited := strings.Replace(string(content), old, new, 1)
	if err := os.WriteFile(w.kubeconfig, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
}

const podManifest = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "task"},
	"spec": {"containers": [{"name": "base", "image": "example.invalid/task"}]}}`

// testKubectl runs several kubectl commands with an exec config of the given API version, and
// checks that they share one token.
func testKubectl(t *testing.T, c *cluster, name, version string, clusterInfo bool) {
	w := c.newWorkload(t, name)
	const group = "client.authentication.k8s.io/"
	w.editKubeconfig(t, group+"v1\n", group+version+"\n")
	w.editKubeconfig(t, "ClusterInfo: false", fmt.Sprint("ClusterInfo: ", clusterInfo))
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
		out, err := w.kubectl(t, strings.Fields(step.command)...)
		if err != nil || out != step.prints {
			t.Errorf("kubectl %s: %q %v", step.command, out, err)
		}
	}
	want := fmt.Sprintf(`Error from server (Forbidden): pods "task" is forbidden: User "%s" `+
		`cannot get resource "pods/log" in API group "" in the namespace "%s"`,
		w.objectID(), w.namespace)
	out, err := w.kubectl(t, "logs", "task")
	if err == nil || out != "" || stderrOf(err) != want {
		t.Errorf("kubectl logs: %q %v", out, err)
	}
	out, err = w.kubectl(t, "delete", "pod", "task", "-o", "name")
	if err != nil || out != "pod/task\n" {
		t.Errorf("kubectl delete: %q %v", out, err)
	}
	w.expectRequests(t,
		"kubectl create selfsubjectreviews 201",
		"kubectl list pods 200",
		"kubectl create pods 201",
		"kubectl list pods 200",
		"kubectl get pods 200",
		"kubectl get pods 200", // kubectl logs gets the pod first
		"kubectl get pods/log 403",
		"kubectl delete pods 200",
		"kubectl get pods 404", // kubectl delete waits until the pod is gone
	)
	w.expectOneToken(t)
}

// testFiftyAtOnce checks that fifty concurrent kubectl processes make one token request.
func testFiftyAtOnce(t *testing.T, c *cluster) {
	w := c.newWorkload(t, "fifty")
	w.entra.SetDelay(2 * time.Second) // so that the processes overlap
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
