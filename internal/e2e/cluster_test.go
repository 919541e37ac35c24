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
	"slices"
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

// waitTimeout bounds every wait for something that must happen.
const waitTimeout = time.Minute

// program returns the path of a program that make e2e builds: akslogin, e2e/apiserver or
// e2e/kubectl. Without AKSLOGIN_E2E_BIN it skips the test.
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

// cluster is an API server that trusts one tenant.
type cluster struct {
	tenant  string
	dir     string // the API server's directory; see package apiserver
	address string // https://127.0.0.1:PORT
	admin   kubernetes.Interface
	issuer  *issuer // which the API server trusts too
}

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

// startCluster starts an API server that trusts a tenant, and waits until it accepts a token of
// that tenant. The API server reads the signing keys from one emulator, and accepts tokens of all
// other emulators, because they share the keys.
func startCluster(t *testing.T, tenant string) *cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e") // t.TempDir would be too long for the path of etcd's socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &cluster{tenant: tenant, dir: dir, issuer: newIssuer(t)}
	entra := entratest.New(t)
	entra.Register(entratest.App{Tenant: tenant, ClientID: clientID(0)})
	ca, _ := json.Marshal(string(entra.CAPEM)) // a JSON string is a YAML string
	template, err := os.ReadFile("authentication.yaml")
	if err != nil {
		t.Fatal(err)
	}
	issuerCA, _ := json.Marshal(string(c.issuer.caPEM()))
	values := strings.NewReplacer("{tenant}", tenant, "{entra}", entra.URL, "{ca}", string(ca),
		"{issuer}", c.issuer.server.URL, "{issuer-ca}", string(issuerCA))
	authentication := []byte(values.Replace(string(template)))
	if err := os.WriteFile(c.file("authentication.yaml"), authentication, 0o600); err != nil {
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

// start runs the API server until the test ends. The API server stops when its standard input ends,
// so it also stops when the test is killed.
func (c *cluster) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(program(t, "e2e/apiserver"), c.dir,
		"--authentication-config="+c.file("authentication.yaml"),
		"--audit-policy-file=audit-policy.yaml",
		"--audit-log-path="+c.file("audit.log"))
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
			t.Log("the end of the API server's log:\n" + c.tail())
		}
		stdin.Close()
		timer := time.AfterFunc(waitTimeout, func() { cmd.Process.Signal(syscall.SIGKILL) })
		if err := cmd.Wait(); !timer.Stop() || err != nil {
			t.Errorf("the API server did not stop in time, or failed: %v", err)
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

// tail returns the last 30 lines of the API server's log.
func (c *cluster) tail() string {
	content, err := os.ReadFile(c.file("server.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// waitUntilTrusted waits until the API server has read the issuer's keys. It reads them in the
// background.
func (c *cluster) waitUntilTrusted(t *testing.T) {
	t.Helper()
	w := c.newWorkload(t, "first")
	eventually(t, func() error { _, err := w.kubectl(t, "auth", "whoami"); return err })
}

// eventually calls f until it returns no error. After waitTimeout it fails the test with f's error.
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

// workers is the object ID of the group to which rbac.yaml gives access to pods.
const workers = "44444444-dddd-4444-8888-000000000001"

var (
	homeTenant    = "11111111-aaaa-4444-8888-000000000001"
	foreignTenant = "11111111-aaaa-4444-8888-000000000002"
)

func clientID(n int) string { return fmt.Sprintf("22222222-bbbb-4444-8888-%012d", n) }
func objectID(n int) string { return fmt.Sprintf("55555555-eeee-4444-8888-%012d", n) }

var workloadCount int

// workload is the environment of a pod with an identity and a namespace of its own. Each workload
// has its own Entra ID emulator, so that its token requests can be counted.
type workload struct {
	*cluster
	entra      *entratest.Server
	number     int // determines the client ID and the object ID
	namespace  string
	home       string // home directory; holds the federated token and the kubeconfig
	kubeconfig string // path of a kubeconfig that akslogin wrote
}

func (w *workload) clientID() string  { return clientID(w.number) }
func (w *workload) objectID() string  { return objectID(w.number) }
func (w *workload) tokenFile() string { return filepath.Join(w.home, "volume", "federated-token") }
func (w *workload) subject() string   { return "system:serviceaccount:" + w.namespace + ":worker" }

// newWorkload returns a workload whose identity is in the group workers. flags are added to those
// of akslogin kubeconfig.
func (c *cluster) newWorkload(t *testing.T, namespace string, flags ...string) *workload {
	t.Helper()
	workloadCount++
	w := &workload{
		cluster:   c,
		entra:     entratest.New(t),
		number:    workloadCount,
		namespace: namespace,
		home:      t.TempDir(),
	}
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
		FederatedCredentials: []entratest.FederatedCredential{
			{Issuer: w.entra.Issuer, Subject: w.subject()},
		},
	})
}

// assertion returns a federated token of the workload.
func (w *workload) assertion(lifetime time.Duration) string {
	expires := time.Now().Add(lifetime)
	return w.entra.Assertion(entratest.Claims{Subject: w.subject(), Expires: expires})
}

// newNamespace creates a namespace with its default service account, without which no pod is
// admitted. In a real cluster, the controller manager creates that account.
func (c *cluster) newNamespace(t *testing.T, name string) {
	t.Helper()
	ctx, core := context.Background(), c.admin.CoreV1()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := core.Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err := core.ServiceAccounts(name).Create(ctx, account, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// writeConfig runs akslogin kubeconfig for the workload and returns the path of the output file.
// output is the output format. flags override the workload's.
func (w *workload) writeConfig(t *testing.T, output string, flags ...string) string {
	t.Helper()
	file := filepath.Join(w.home, "config-"+output)
	args := []string{
		"kubeconfig", "--server", w.address, "--certificate-authority", w.file("ca.crt"),
		"--namespace", w.namespace,
		"--command", program(t, "akslogin"), "--output", output, "--output-file", file,
	}
	if !slices.Contains(flags, "jwt") { // akslogin warns about flags that a login has no use for
		args = append(args, "--client-id", w.clientID(), "--tenant-id", w.tenant)
	}
	cmd := w.command(program(t, "akslogin"), append(args, flags...)...)
	cmd.Env = append(cmd.Env, "KUBECONFIG=") // akslogin warns about one that is set
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("akslogin %s: %v %s", args, err, out)
	}
	return file
}

// env returns the environment of the workload's pod, with a proxy that leads to the emulator. The
// variables name another identity and tenant, because those in the kubeconfig must win.
func (w *workload) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "KUBECONFIG=" + w.kubeconfig,
		"HTTPS_PROXY=" + w.entra.ProxyURL, "NO_PROXY=127.0.0.1", "SSL_CERT_FILE=" + w.entra.CAFile,
		"AZURE_FEDERATED_TOKEN_FILE=" + w.tokenFile(),
		"AZURE_CLIENT_ID=" + clientID(0), "AZURE_TENANT_ID=" + foreignTenant,
	}
}

// command returns a command in the workload's environment.
func (w *workload) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = w.env()
	return cmd
}

// commandError reports a command that failed, and its output.
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

// run runs a command and returns its standard output. Its error is a *commandError.
func run(cmd *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = &commandError{cmd.Args, err, string(out), stderr.String()}
	}
	return string(out), err
}

func (w *workload) kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return run(w.command(program(t, "e2e/kubectl"), args...))
}

// event is a line of the API server's audit log.
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

// String returns the client, verb, resource or URI, and status code, as in "kubectl get pods 200".
func (e event) String() string {
	client, _, _ := strings.Cut(e.UserAgent, "/")
	target := e.RequestURI
	if e.ObjectRef != nil {
		target = strings.TrimSuffix(e.ObjectRef.Resource+"/"+e.ObjectRef.Subresource, "/")
	}
	return fmt.Sprintf("%s %s %s %d", client, e.Verb, target, e.ResponseStatus.Code)
}

// audit returns the events of completed requests that match.
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
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return all // the API server may still be writing the last line
		}
		if err != nil {
			t.Fatal(err)
		}
		// A request that gets 401 has no event in stage ResponseComplete.
		unauthorized := e.ResponseStatus.Code == http.StatusUnauthorized
		if (e.Stage == "ResponseComplete" || unauthorized) && match(e) {
			all = append(all, e)
		}
	}
}

// claims returns the claims of an access token without verifying its signature.
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
