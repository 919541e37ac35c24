package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

const (
	otherServer   = "33333333-cccc-4444-8888-000000000001"
	unknownTenant = "11111111-aaaa-4444-8888-000000000009"

	// unauthorized is all that kubectl says of a token which the API server does not take.
	unauthorized = "error: You must be logged in to the server (Unauthorized)"
)

// words are what a command that failed had printed on standard error.
func stderrOf(err error) string {
	var failed *commandError
	if errors.As(err, &failed) {
		return strings.TrimSpace(failed.stderr)
	}
	return ""
}

// list has kubectl list the pods of the workload's namespace, with one request. It returns what
// kubectl printed on standard error, and what the API server saw of that request and wrote to its
// log meanwhile.
func (w *workload) listPods(t *testing.T) (stderr string, events []string, log string) {
	t.Helper()
	uri := "/api/v1/namespaces/" + w.namespace + "/pods"
	before := len(w.serverLog(t))
	out, err := w.kubectl(t, "get", "--raw", uri)
	var exit *exec.ExitError
	if err != nil && (out != "" || !errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Errorf("kubectl: %q %v", out, err)
	}
	w.syncAuditLog(t)
	for _, e := range w.audit(t, func(e event) bool { return e.RequestURI == uri }) {
		events = append(events, fmt.Sprintf("%s by %q", e, e.User.Username))
	}
	return stderrOf(err), events, w.serverLog(t)[before:]
}

func (c *cluster) serverLog(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(c.file("server.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// refusedByServer: Entra ID gives a token, and the API server does not want it. Only its log knows
// why; the program does not learn of it, and tells with -v what it asked for.
func testRefusedByServer(t *testing.T, c *cluster) {
	for name, test := range map[string]struct {
		flags     []string
		log       string // what the API server says
		asked     string // what the program says
		namespace string
	}{
		"wrong audience": {[]string{"--server-id", otherServer}, fmt.Sprintf(`expected audience \"%s\" got [\"%s\"]`, entratest.AKSServerID, otherServer), "audience=" + otherServer, "audience"},
		"foreign tenant": {[]string{"--tenant-id", foreignTenant}, `err="invalid bearer token"`, "tenant=" + foreignTenant, "foreign"},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.newWorkload(t, test.namespace, test.flags...)
			w.entra.RegisterResource(homeTenant, otherServer)
			stderr, events, log := w.listPods(t)
			if want := []string{`kubectl list pods 401 by ""`}; stderr != unauthorized || !slices.Equal(events, want) || !strings.Contains(log, test.log) {
				t.Errorf("kubectl said %q; the API server saw %q, want %q, and its log is\n%s", stderr, events, want, log)
			}
			if out, err := w.kubectl(t, "get", "pods"); err == nil || out != "" || !strings.Contains(stderrOf(err), "error: You must be logged in to the server") {
				t.Errorf("%q %v", out, err)
			}
			if w.entra.TokenRequests() != 1 { // however often kubectl runs it again
				t.Errorf("%d token requests, want 1", w.entra.TokenRequests())
			}
			w.editKubeconfig(t, `- "get-token"`, `- "get-token"`+"\n      - \"--v=1\"\n      - \"--cache-dir="+t.TempDir()+`"`)
			if stderr, _, _ := w.listPods(t); !strings.Contains(stderr, test.asked) || !strings.HasSuffix(stderr, unauthorized) {
				t.Errorf("with -v: %s", stderr)
			}
			if used := w.acceptedTokens(t); len(used) > 0 {
				t.Errorf("the API server took %q", used)
			}
		})
	}
}

// anotherCluster: a token that opens one cluster is refused by one that trusts another tenant.
func testOtherCluster(t *testing.T, c *cluster) {
	there := startCluster(t, foreignTenant)
	w := c.newWorkload(t, "here")
	if stderr, events, _ := w.listPods(t); stderr != "" || !slices.Equal(events, []string{fmt.Sprintf("kubectl list pods 200 by %q", w.objectID())}) {
		t.Fatalf("%q %q", stderr, events)
	}
	w.cluster = &cluster{tenant: homeTenant, dir: there.dir, address: there.address, admin: there.admin}
	w.kubeconfig = w.writeConfig(t, "yaml")
	stderr, events, log := w.listPods(t)
	if stderr != unauthorized || !slices.Equal(events, []string{`kubectl list pods 401 by ""`}) || !strings.Contains(log, "invalid bearer token") {
		t.Errorf("kubectl said %q; the API server saw %q, and its log is\n%s", stderr, events, log)
	}
	w.cluster = c
	w.expectOneToken(t)
}

// refusedByEntra: no token, and so no request to the API server; what the program says is what
// people see.
func testRefusedByEntra(t *testing.T, c *cluster) {
	for name, test := range map[string]struct {
		tenant, code, hint, namespace string
		requests                      int
	}{
		"unknown tenant":        {unknownTenant, "AADSTS90002", "there is no tenant " + unknownTenant + " (--tenant-id)", "unknown", 1},
		"not in foreign tenant": {foreignTenant, "AADSTS700016", "is no managed identity or application of tenant " + foreignTenant + " (--tenant-id)", "stranger", 1},
		"federated by nobody":   {homeTenant, "AADSTS700213", "needs a federated credential with exactly issuer https://oidc.example/cluster-a/ , subject system:serviceaccount:unfederated:worker", "unfederated", 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.newWorkload(t, test.namespace, "--tenant-id", test.tenant)
			w.entra = entratest.New(t)
			w.entra.Register(entratest.App{Tenant: homeTenant, ClientID: w.clientID(), FederatedCredentials: []entratest.FederatedCredential{{Issuer: w.entra.Issuer, Subject: "another"}}})
			w.entra.Register(entratest.App{Tenant: foreignTenant, ClientID: clientID(0)})
			stderr, events, _ := w.listPods(t)
			lines := strings.Split(stderr, "\n")
			if len(lines) != 3 || !strings.HasPrefix(lines[0], "akslogin: error: ") || !strings.Contains(lines[0], test.code) ||
				!strings.HasPrefix(lines[1], "akslogin: hint: ") || !strings.Contains(lines[1], test.hint) {
				t.Errorf("kubectl and the program said %s", stderr)
			}
			if len(events) > 0 || w.entra.TokenRequests() != test.requests {
				t.Errorf("the API server saw %q; %d token requests, want %d", events, w.entra.TokenRequests(), test.requests)
			}
		})
	}
}

// forbidden: who has a good token and no rights is told so under the right name.
func testForbidden(t *testing.T, c *cluster) {
	w := c.newWorkload(t, "forbidden")
	w.register(homeTenant) // in no group
	_, err := w.kubectl(t, "get", "pods")
	want := fmt.Sprintf(`Error from server (Forbidden): pods is forbidden: User "%s" cannot list resource "pods" in API group "" in the namespace "forbidden"`, w.objectID())
	if stderrOf(err) != want {
		t.Errorf("kubectl said %v, want %s", err, want)
	}
	w.expectRequests(t, "kubectl list pods 403")
	w.expectOneToken(t)
}
