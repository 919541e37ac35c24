package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/akslogin/akslogin/internal/entratest"
)

// waitTimeout is how long anything is waited for that must come.
const waitTimeout = time.Minute

// program is the path of a program that make built: akslogin, or e2e/apiserver and e2e/kubectl.
func program(t *testing.T, name string) string {
	t.Helper()
	bin := os.Getenv("AKSLOGIN_E2E_BIN")
	if bin == "" {
		t.Skip("needs programs that make e2e builds")
	}
	path, err := filepath.Abs(filepath.Join(bin, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A cluster is an API server that trusts one tenant.
type cluster struct {
	tenant  string
	dir     string
	address string
	admin   kubernetes.Interface
}

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

// startCluster starts an API server that trusts a tenant, and waits until it lets in somebody from
// there. It reads the documents of one emulator, and takes tokens of all others, too: they sign
// with one key.
func startCluster(t *testing.T, tenant string) *cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e") // and not t.TempDir(): the path of etcd's socket may have a hundred characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &cluster{tenant: tenant, dir: dir}
	entra := entratest.New(t)
	entra.Register(entratest.App{Tenant: tenant, ClientID: clientID(0)})
	ca, _ := json.Marshal(string(entra.CAPEM)) // a JSON string is a YAML string
	template, err := os.ReadFile("authentication.yaml")
	if err != nil {
		t.Fatal(err)
	}
	trust := strings.NewReplacer("{tenant}", tenant, "{entra}", entra.URL, "{ca}", string(ca)).Replace(string(template))
	if err := os.WriteFile(c.file("authentication.yaml"), []byte(trust), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start(t)
	config, err := clientcmd.BuildConfigFromFlags("", c.file("admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	if c.admin, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	apply := exec.Command(program(t, "e2e/kubectl"), "apply", "-f", "rbac.yaml")
	apply.Env = []string{"HOME=" + dir, "KUBECONFIG=" + c.file("admin.kubeconfig")}
	if _, err := run(apply); err != nil {
		t.Fatal(err)
	}
	c.waitUntilTrusted(t)
	return c
}

// start runs the API server until the test is over. It ends with its standard input, and so also
// when the test is killed.
func (c *cluster) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(program(t, "e2e/apiserver"), c.dir,
		"--authentication-config="+c.file("authentication.yaml"), "--audit-policy-file=audit-policy.yaml", "--audit-log-path="+c.file("audit.log"))
	log, err := os.Create(c.file("server.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the API server's last words:\n" + c.tail())
		}
		stdin.Close()
		timer := time.AfterFunc(waitTimeout, func() { cmd.Process.Signal(syscall.SIGKILL) })
		if err := cmd.Wait(); !timer.Stop() || err != nil {
			t.Errorf("the API server did not end by itself, or badly: %v", err)
		}
	})
	timer := time.AfterFunc(waitTimeout, func() { stdin.Close() })
	defer timer.Stop()
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	var found bool
	if c.address, found = strings.CutPrefix(strings.TrimSpace(ready), "READY "); !found {
		t.Fatalf("the API server did not start: %q %v\n%s", ready, err, c.tail())
	}
}

// tail is the end of the API server's log.
func (c *cluster) tail() string {
	content, err := os.ReadFile(c.file("server.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// waitUntilTrusted waits for the API server to have read the issuer's keys, which it does in the
// background.
func (c *cluster) waitUntilTrusted(t *testing.T) {
	t.Helper()
	w := c.newWorkload(t, "first")
	eventually(t, func() error { _, err := w.kubectl(t, "auth", "whoami"); return err })
}

// eventually calls f until it returns no error, and fails the test when that takes too long.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(waitTimeout)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// workers is the group that rbac.yaml lets work with pods.
const workers = "44444444-dddd-4444-8888-000000000001"

var (
	homeTenant    = "11111111-aaaa-4444-8888-000000000001"
	foreignTenant = "11111111-aaaa-4444-8888-000000000002"
)

func clientID(n int) string { return fmt.Sprintf("22222222-bbbb-4444-8888-%012d", n) }
func objectID(n int) string { return fmt.Sprintf("55555555-eeee-4444-8888-%012d", n) }

var workloadCount int

// A workload is what runs in a pod: an identity, an Entra ID of its own to watch, a home and a
// federated token there, and a kubeconfig that the program wrote. It has a namespace of its own in
// the cluster.
type workload struct {
	*cluster
	entra      *entratest.Server
	number     int
	namespace  string
	home       string
	kubeconfig string
}

func (w *workload) clientID() string  { return clientID(w.number) }
func (w *workload) objectID() string  { return objectID(w.number) }
func (w *workload) tokenFile() string { return filepath.Join(w.home, "volume", "federated-token") }
func (w *workload) subject() string   { return "system:serviceaccount:" + w.namespace + ":worker" }

// newWorkload makes one whose identity is in the groups; by default in those of the workers. flags
// are further ones for kubeconfig.
func (c *cluster) newWorkload(t *testing.T, namespace string, flags ...string) *workload {
	t.Helper()
	workloadCount++
	w := &workload{cluster: c, entra: entratest.New(t), number: workloadCount, namespace: namespace, home: t.TempDir()}
	for _, tenant := range []string{homeTenant, foreignTenant} {
		w.register(tenant, workers)
	}
	if err := os.Mkdir(filepath.Dir(w.tokenFile()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.tokenFile(), []byte(w.assertion(time.Hour)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.newNamespace(t, namespace)
	w.kubeconfig = w.writeConfig(t, "yaml", flags...)
	return w
}

func (w *workload) register(tenant string, groups ...string) {
	w.entra.Register(entratest.App{
		Tenant: tenant, ClientID: w.clientID(), ObjectID: w.objectID(), Groups: groups,
		FederatedCredentials: []entratest.FederatedCredential{{Issuer: w.entra.Issuer, Subject: w.subject()}},
	})
}

func (w *workload) assertion(life time.Duration) string {
	return w.entra.Assertion(entratest.Claims{Subject: w.subject(), Expires: time.Now().Add(life)})
}

// newNamespace makes what a controller manager would: without a service account no pod is admitted.
func (c *cluster) newNamespace(t *testing.T, name string) {
	t.Helper()
	ctx := context.Background()
	_, err := c.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err == nil {
		_, err = c.admin.CoreV1().ServiceAccounts(name).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// write has the program write a kubeconfig, or a connection, for the workload. flags win over the
// workload's own.
func (w *workload) writeConfig(t *testing.T, form string, flags ...string) string {
	t.Helper()
	file := filepath.Join(w.home, "config-"+form)
	args := []string{"kubeconfig", "--server", w.address, "--certificate-authority", w.file("ca.crt"), "--client-id", w.clientID(), "--tenant-id", w.tenant,
		"--namespace", w.namespace, "--command", program(t, "akslogin"), "--output", form, "--output-file", file}
	cmd := w.command(program(t, "akslogin"), append(args, flags...)...)
	cmd.Env = append(cmd.Env, "KUBECONFIG=") // it would be warned of
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("akslogin %s: %v %s", args, err, out)
	}
	return file
}

// env is a pod's, where a proxy leads to the emulator. Identity and tenant are another's: those in
// the kubeconfig count.
func (w *workload) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "KUBECONFIG=" + w.kubeconfig,
		"HTTPS_PROXY=" + w.entra.ProxyURL, "NO_PROXY=127.0.0.1", "SSL_CERT_FILE=" + w.entra.CAFile,
		"AZURE_FEDERATED_TOKEN_FILE=" + w.tokenFile(), "AZURE_CLIENT_ID=" + clientID(0), "AZURE_TENANT_ID=" + foreignTenant,
	}
}

// command runs in the workload's environment.
func (w *workload) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = w.env()
	return cmd
}

// A commandError is how a command failed.
type commandError struct {
	args   []string
	err    error
	out    string
	stderr string
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: %v\n%s%s", e.args, e.err, e.out, e.stderr)
}
func (e *commandError) Unwrap() error { return e.err }

// run runs a command and returns what it printed. Its error is a *commandError.
func run(cmd *exec.Cmd) (string, error) {
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		err = &commandError{cmd.Args, err, string(out), words.String()}
	}
	return string(out), err
}

func (w *workload) kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return run(w.command(program(t, "e2e/kubectl"), args...))
}

// An event is a line of the API server's audit log.
type event struct {
	Stage, Verb, RequestURI, UserAgent string
	User                               struct {
		Username, UID string
		Groups        []string
		Extra         map[string][]string
	}
	ObjectRef      *struct{ Resource, Subresource, Namespace, Name string }
	ResponseStatus struct {
		Code   int
		Reason string
	}
}

// String is an event in short: client, verb, what, status.
func (e event) String() string {
	client, _, _ := strings.Cut(e.UserAgent, "/")
	what := e.RequestURI
	if e.ObjectRef != nil {
		what = strings.Join([]string{e.ObjectRef.Resource, e.ObjectRef.Subresource}, "/")
		what = strings.TrimSuffix(what, "/")
	}
	return fmt.Sprintf("%s %s %s %d", client, e.Verb, what, e.ResponseStatus.Code)
}

// audit returns the events of requests that are over and are match.
func (c *cluster) audit(t *testing.T, match func(event) bool) []event {
	t.Helper()
	content, err := os.ReadFile(c.file("audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	var all []event
	for decoder := json.NewDecoder(bytes.NewReader(content)); ; {
		var e event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the last line is being written
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if done := e.Stage == "ResponseComplete" || e.ResponseStatus.Code == http.StatusUnauthorized; done && match(e) { // 401 is recorded with no later stage
			all = append(all, e)
		}
	}
}

// claims are those of an access token, unverified.
func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var all map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}
