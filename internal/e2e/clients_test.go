package e2e

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// clientVariable makes the test binary a program of goPrograms, so that each has client-go's state
// for itself.
const clientVariable = "AKSLOGIN_E2E_CLIENT"

func TestMain(m *testing.M) {
	if name := os.Getenv(clientVariable); name != "" {
		if err := clientGo(goPrograms[name], name); err != nil {
			fmt.Println("error 0", err)
		}
		return
	}
	os.Exit(m.Run())
}

// A long-running client prints a line for everything that it gets: "ok SECONDS" for an answer and
// "error SECONDS TEXT" for a failure, with how long that took, or "added POD"; and it ends with its
// standard input. So do those in testdata.
var goPrograms = map[string]func(ctx context.Context, client kubernetes.Interface, namespace string, last *stopwatch) error{
	"informer": func(ctx context.Context, client kubernetes.Interface, namespace string, last *stopwatch) error {
		factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace), informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.TimeoutSeconds = new(int64(2)) // client-go's own are minutes, longer than a token lives here: only a request's beginning is checked
		}))
		pods := factory.Core().V1().Pods().Informer()
		if err := pods.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
			if ctx.Err() == nil {
				fmt.Printf("error %.3f %v\n", last.took().Seconds(), err)
			}
		}); err != nil {
			return err
		}
		_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(pod any) { fmt.Println("added", pod.(*corev1.Pod).Name) }})
		if err != nil {
			return err
		}
		factory.StartWithContext(ctx)
		if cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
			fmt.Printf("ok %.3f\n", last.took().Seconds())
		}
		<-ctx.Done()
		factory.Shutdown()
		return nil
	},
	"poller": func(ctx context.Context, client kubernetes.Interface, namespace string, last *stopwatch) error {
		for {
			_, err := client.CoreV1().Pods(namespace).List(context.WithoutCancel(ctx), metav1.ListOptions{}) // one that was begun is waited for
			if err != nil {
				fmt.Printf("error %.3f %v\n", last.took().Seconds(), err)
			} else {
				fmt.Printf("ok %.3f\n", last.took().Seconds())
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(2 * time.Second):
			}
		}
	},
}

// clientGo runs a program with the kubeconfig of the environment until standard input ends.
func clientGo(program func(context.Context, kubernetes.Interface, string, *stopwatch) error, name string) error {
	ctx, ended := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended()
	}()
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil)
	namespace, _, err := loaded.Namespace()
	if err != nil {
		return err
	}
	config, err := loaded.ClientConfig()
	if err != nil {
		return err
	}
	config.UserAgent = name + "/" + namespace
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	last := &stopwatch{next: hc.Transport}
	hc.Transport = last
	client, err := kubernetes.NewForConfigAndClient(config, hc)
	if err != nil {
		return err
	}
	return program(ctx, client, namespace, last)
}

// A stopwatch is around all that client-go does for a request, the plugin's run included.
type stopwatch struct {
	next  http.RoundTripper
	nanos atomic.Int64
}

func (s *stopwatch) took() time.Duration { return time.Duration(s.nanos.Load()) }

func (s *stopwatch) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	defer func() { s.nanos.Store(int64(time.Since(began))) }()
	return s.next.RoundTrip(r)
}

// goClient is a program of goPrograms in the workload's environment.
func (w *workload) goClient(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command(self)
	cmd.Env = append(cmd.Env, clientVariable+"="+name)
	return cmd
}

// outcome is what clients got.
type outcome struct {
	waits     []time.Duration // for answers
	overtaken []string        // see overtaken
	wrong     []string        // all other failures
}

// overtaken tells whether a failure is that of a machine which stood still: the API server refused
// a token that ended while the request was on its way. The program tells clients an end that is a
// tenth of a life early, so that happens to a request only which takes longer.
func overtaken(took time.Duration, said string, tokenLife time.Duration) bool {
	refused := slices.ContainsFunc([]string{"Unauthorized", "must be logged in"}, func(words string) bool { return strings.Contains(said, words) })
	return refused && took > tokenLife/10
}

// A running client is one of those that print lines.
type running struct {
	cmd       *exec.Cmd
	stdin     io.Closer
	tokenLife time.Duration
	read      chan struct{} // closed when there are no more lines

	mu    sync.Mutex
	words strings.Builder // on standard error
	added map[string]bool
	outcome
}

// begin starts a long-running client. It is ended with the test at the latest.
func begin(t *testing.T, cmd *exec.Cmd, tokenLife time.Duration) *running {
	t.Helper()
	r := &running{cmd: cmd, tokenLife: tokenLife, added: map[string]bool{}, read: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &r.words
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Process.Kill(); cmd.Wait() }) // all of it in vain after end
	go func() {
		defer close(r.read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			r.take(lines.Text())
		}
	}()
	return r
}

func (r *running) take(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what, rest, _ := strings.Cut(line, " ")
	seconds, text, _ := strings.Cut(rest, " ")
	took, err := time.ParseDuration(seconds + "s")
	switch {
	case what == "added":
		r.added[rest] = true
	case what == "ok" && err == nil:
		r.waits = append(r.waits, took)
	case what == "error" && err == nil && overtaken(took, text, r.tokenLife):
		r.overtaken = append(r.overtaken, line)
	default:
		r.wrong = append(r.wrong, line)
	}
}

func (r *running) has(pod string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.added[pod]
}

// untilAtWork waits for a client's first line.
func (r *running) untilAtWork(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.waits)+len(r.overtaken)+len(r.wrong) == 0 {
			return fmt.Errorf("%s prints nothing", r.cmd.Args)
		}
		return nil
	})
}

// end ends a client and returns what it got, whatever else it said being wrong.
func (r *running) end() outcome {
	r.stdin.Close()
	timer := time.AfterFunc(patience, func() { r.cmd.Process.Kill() })
	defer timer.Stop()
	<-r.read
	err := r.cmd.Wait()
	if err != nil || r.words.Len() > 0 {
		r.wrong = append(r.wrong, fmt.Sprintf("%v %s", err, r.words.String()))
	}
	for i, line := range r.wrong {
		r.wrong[i] = fmt.Sprintf("%s: %s", r.cmd.Args, line)
	}
	return r.outcome
}

// informerOutlives: a program that watches and lists over the lives of several tokens does not
// notice.
func informerOutlives(t *testing.T, c *cluster) {
	const tokens, life = 3, 20 * time.Second
	w := c.newWorkload(t, "informer")
	w.entra.SetTokenLifetime(life)
	informer, poller := begin(t, w.goClient(t, "informer"), life), begin(t, w.goClient(t, "poller"), life)
	for n := 1; n <= tokens; n++ {
		eventually(t, func() error {
			if used := len(w.used(t)); used < n {
				return fmt.Errorf("the API server let in %d tokens, want %d", used, n)
			}
			return nil
		})
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("pod-", n)}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "base", Image: "example.invalid/task"}}}}
		if _, err := c.admin.CoreV1().Pods(w.namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if !informer.has(pod.Name) {
				return fmt.Errorf("the informer did not tell of %s", pod.Name)
			}
			return nil
		})
	}
	watched, polled := informer.end(), poller.end()
	for _, wrong := range slices.Concat(watched.wrong, polled.wrong) {
		t.Error(wrong)
	}
	overtaken := slices.Concat(watched.overtaken, polled.overtaken)
	if len(overtaken) > 0 {
		t.Logf("this machine is too slow for tokens of %s: %q", life, overtaken)
	}
	w.settle(t)
	counts, refused := map[string]int{}, 0
	for _, e := range w.audit(t, func(e event) bool { return strings.HasSuffix(e.UserAgent, "/"+w.namespace) }) {
		counts[e.String()]++
		switch {
		case e.ResponseStatus.Code == http.StatusUnauthorized:
			refused++
		case e.User.Username != w.objectID() || e.ResponseStatus.Code != http.StatusOK:
			t.Errorf("%s by %q", e, e.User.Username)
		}
	}
	if refused != len(overtaken) {
		t.Errorf("the API server refused %d requests, of which the clients explain %d", refused, len(overtaken))
	}
	if polls := len(polled.waits); counts["poller list pods 200"] != polls || counts["informer watch pods 200"] < tokens {
		t.Errorf("the API server answered %v, of which the poller got %d", counts, polls)
	}
	used, issued := w.used(t), w.issued(t)
	if len(issued) > len(used) { // the last one came when the clients were ended
		issued = issued[:len(issued)-1]
	}
	if !slices.Equal(used, issued) || w.entra.TokenRequests() != w.entra.Issued() {
		t.Errorf("the API server let in %q; issued were %q, by %d requests", used, w.issued(t), w.entra.TokenRequests())
	}
}

// notHere skips a test for want of a client, where that is not said to be there.
func notHere(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("AKSLOGIN_TEST_CLIENTS") == "required" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// python is a Python with the client: the distribution's, with the distribution's packages.
func python(t *testing.T) string {
	t.Helper()
	python := cmp.Or(os.Getenv("AKSLOGIN_TEST_PYTHON"), "/usr/bin/python3")
	if out, err := exec.Command(python, "-c", "import kubernetes").CombinedOutput(); err != nil {
		notHere(t, "no Python client here (apt-get install python3-kubernetes): "+string(out))
	}
	return python
}

// node is a node and a folder with the client (make clients).
func node(t *testing.T) (node, folder string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		notHere(t, "no node here")
	}
	if folder = os.Getenv("AKSLOGIN_TEST_DEPS"); folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		folder = filepath.Join(cache, "akslogin-test")
	}
	folder = filepath.Join(folder, "javascript")
	if _, err := os.Stat(filepath.Join(folder, "package-lock.json")); err != nil {
		notHere(t, "no JavaScript client here (make clients): "+err.Error())
	}
	return node, folder
}

func pythonWorks(t *testing.T, c *cluster) {
	interpreter := python(t)
	w := c.newWorkload(t, "python")
	out, err := run(w.command(interpreter, "testdata/pod.py", w.write(t, "airflow-connection")))
	if want := "0 pods\ncreated task\nread task Pending\n1 pods\ndeleted task\n"; err != nil || out != want {
		t.Errorf("printed %q, want %q; %v", out, want, err)
	}
	const agent = "OpenAPI-Generator "
	w.expect(t, agent+"list pods 200", agent+"create pods 201", agent+"get pods 200", agent+"list pods 200", agent+"delete pods 200")
	w.oneToken(t)
}

func javaScriptWorks(t *testing.T, c *cluster) {
	interpreter, folder := node(t)
	w := c.newWorkload(t, "javascript")
	out, err := run(w.command(interpreter, "testdata/pod.mjs", folder))
	if want := "0 pods\ncreated task\nread task Pending\n1 pods\ndeleted task\n"; err != nil || out != want {
		t.Errorf("printed %q, want %q; %v", out, want, err)
	}
	const agent = "node-fetch "
	w.expect(t, agent+"list pods 200", agent+"create pods 201", agent+"get pods 200", agent+"list pods 200", agent+"delete pods 200")
	w.oneToken(t)
}
