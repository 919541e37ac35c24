package e2e

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// outcome collects the results of requests.
type outcome struct {
	durations []time.Duration // of requests that succeeded
	expired   []string        // failures for which expiredInFlight is true
	failures  []string        // all other failures
}

// expiredInFlight reports whether a request failed because its token expired on the way to the API
// server. akslogin reports an expiry that is a tenth of the lifetime early, so this can happen only
// to a request that takes longer than that, because the machine is overloaded.
func expiredInFlight(took time.Duration, message string, tokenLifetime time.Duration) bool {
	refused := strings.Contains(message, "Unauthorized") ||
		strings.Contains(message, "must be logged in")
	return refused && took > tokenLifetime/10
}

// clientProcess is a running client of those that print lines.
type clientProcess struct {
	cmd           *exec.Cmd
	stdin         io.Closer
	tokenLifetime time.Duration
	eof           chan struct{} // closed when standard output ends

	mu        sync.Mutex
	stderr    strings.Builder
	addedPods map[string]bool
	outcome
}

// startClient starts a long-running client, and kills it when the test ends.
func startClient(t *testing.T, cmd *exec.Cmd, tokenLifetime time.Duration) *clientProcess {
	t.Helper()
	r := &clientProcess{
		cmd:           cmd,
		tokenLifetime: tokenLifetime,
		addedPods:     map[string]bool{},
		eof:           make(chan struct{}),
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Process.Kill(); cmd.Wait() }) // no effect after stop
	go func() {
		defer close(r.eof)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			r.record(lines.Text())
		}
	}()
	return r
}

func (r *clientProcess) record(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	result, rest, _ := strings.Cut(line, " ")
	seconds, message, _ := strings.Cut(rest, " ")
	took, err := time.ParseDuration(seconds + "s")
	switch {
	case result == "added":
		r.addedPods[rest] = true
	case result == "ok" && err == nil:
		r.durations = append(r.durations, took)
	case result == "error" && err == nil && expiredInFlight(took, message, r.tokenLifetime):
		r.expired = append(r.expired, line)
	default:
		r.failures = append(r.failures, line)
	}
}

func (r *clientProcess) hasAdded(pod string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.addedPods[pod]
}

// waitForOutput waits for the client's first result.
func (r *clientProcess) waitForOutput(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.durations)+len(r.expired)+len(r.failures) == 0 {
			return fmt.Errorf("%s prints nothing", r.cmd.Args)
		}
		return nil
	})
}

// stop stops the client and returns its results. Output on standard error is a failure.
func (r *clientProcess) stop() outcome {
	r.stdin.Close()
	timer := time.AfterFunc(waitTimeout, func() { r.cmd.Process.Kill() })
	defer timer.Stop()
	<-r.eof
	err := r.cmd.Wait()
	if err != nil || r.stderr.Len() > 0 {
		r.failures = append(r.failures, fmt.Sprintf("%v %s", err, r.stderr.String()))
	}
	for i, line := range r.failures {
		r.failures[i] = fmt.Sprintf("%s: %s", r.cmd.Args, line)
	}
	return r.outcome
}

// testInformerOutlivesToken checks that clients that watch and list pods get no error while tokens
// expire.
func testInformerOutlivesToken(t *testing.T, c *cluster) {
	const tokens, lifetime = 3, 20 * time.Second
	w := c.newWorkload(t, "informer")
	w.entra.SetTokenLifetime(lifetime)
	informer := startClient(t, w.goClient(t, "informer"), lifetime)
	poller := startClient(t, w.goClient(t, "poller"), lifetime)
	for n := 1; n <= tokens; n++ {
		eventually(t, func() error {
			if accepted := len(w.acceptedTokens(t)); accepted < n {
				return fmt.Errorf("the API server accepted %d tokens, want %d", accepted, n)
			}
			return nil
		})
		pod := fmt.Sprint("pod-", n)
		w.createPod(t, pod)
		eventually(t, func() error {
			if !informer.hasAdded(pod) {
				return fmt.Errorf("the informer did not report %s", pod)
			}
			return nil
		})
	}
	watched, polled := informer.stop(), poller.stop()
	for _, failure := range slices.Concat(watched.failures, polled.failures) {
		t.Error(failure)
	}
	expired := slices.Concat(watched.expired, polled.expired)
	if len(expired) > 0 {
		t.Logf("this machine is too slow for tokens of %s: %q", lifetime, expired)
	}
	w.syncAuditLog(t)
	counts, refused := map[string]int{}, 0
	own := func(e event) bool { return strings.HasSuffix(e.UserAgent, "/"+w.namespace) }
	for _, e := range w.audit(t, own) {
		counts[e.String()]++
		switch {
		case e.ResponseStatus.Code == http.StatusUnauthorized:
			refused++
		case e.User.Username != w.objectID() || e.ResponseStatus.Code != http.StatusOK:
			t.Errorf("%s by %q", e, e.User.Username)
		}
	}
	if refused != len(expired) {
		t.Errorf("the API server refused %d requests, clients reported %d", refused, len(expired))
	}
	polls := len(polled.durations)
	if counts["poller list pods 200"] != polls || counts["informer watch pods 200"] < tokens {
		t.Errorf("the API server answered %v; the poller reported %d responses", counts, polls)
	}
	accepted, issued := w.acceptedTokens(t), w.issuedTokens(t)
	if len(issued) > len(accepted) { // the clients stopped before they used the last one
		issued = issued[:len(issued)-1]
	}
	if !slices.Equal(accepted, issued) || w.entra.TokenRequests() != w.entra.Issued() {
		t.Errorf("the API server accepted %q; Entra ID issued %q after %d requests",
			accepted, w.issuedTokens(t), w.entra.TokenRequests())
	}
}

// createPod creates a pod as the administrator, not with the workload's token.
func (w *workload) createPod(t *testing.T, name string) {
	t.Helper()
	containers := []corev1.Container{{Name: "base", Image: "example.invalid/task"}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PodSpec{Containers: containers},
	}
	pods := w.admin.CoreV1().Pods(w.namespace)
	if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// skipMissing skips a test because a client is not installed. If AKSLOGIN_TEST_CLIENTS is
// "required", it fails the test instead.
func skipMissing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("AKSLOGIN_TEST_CLIENTS") == "required" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// findPython returns the path of a Python with the Kubernetes client. By default it is the
// distribution's Python, for which the distribution packages the client.
func findPython(t *testing.T) string {
	t.Helper()
	python := cmp.Or(os.Getenv("AKSLOGIN_TEST_PYTHON"), "/usr/bin/python3")
	out, err := exec.Command(python, "-c", "import kubernetes").CombinedOutput()
	if err != nil {
		skipMissing(t, "no Python client (apt-get install python3-kubernetes): "+string(out))
	}
	return python
}

// findNode returns the path of Node.js, and the directory with the Kubernetes client that "make
// clients" installs.
func findNode(t *testing.T) (node, dir string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		skipMissing(t, "no node")
	}
	if dir = os.Getenv("AKSLOGIN_TEST_DEPS"); dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "akslogin-test")
	}
	dir = filepath.Join(dir, "javascript")
	if _, err := os.Stat(filepath.Join(dir, "package-lock.json")); err != nil {
		skipMissing(t, "no JavaScript client (make clients): "+err.Error())
	}
	return node, dir
}

func testPython(t *testing.T, c *cluster) {
	python := findPython(t)
	w := c.newWorkload(t, "python")
	cmd := w.command(python, "testdata/pod.py", w.writeConfig(t, "airflow-connection"))
	w.expectPodLifecycle(t, cmd, "OpenAPI-Generator")
}

func testJavaScript(t *testing.T, c *cluster) {
	node, dir := findNode(t)
	w := c.newWorkload(t, "javascript")
	w.expectPodLifecycle(t, w.command(node, "testdata/pod.mjs", dir), "node-fetch")
}

// expectPodLifecycle runs a client of testdata and checks its output and requests. agent is its
// name in the audit log.
func (w *workload) expectPodLifecycle(t *testing.T, cmd *exec.Cmd, agent string) {
	t.Helper()
	const want = "0 pods\ncreated task\nread task Pending\n1 pods\ndeleted task\n"
	if out, err := run(cmd); err != nil || out != want {
		t.Errorf("printed %q, want %q; %v", out, want, err)
	}
	w.expectRequests(t,
		agent+" list pods 200",
		agent+" create pods 201",
		agent+" get pods 200",
		agent+" list pods 200",
		agent+" delete pods 200",
	)
	w.expectOneToken(t)
}
