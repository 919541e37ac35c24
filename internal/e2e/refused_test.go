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

	// unauthorized is all that kubectl prints if the API server refuses the token.
	unauthorized = "error: You must be logged in to the server (Unauthorized)"
)

// stderrOf returns what a failed command printed on standard error. err is an error of run.
func stderrOf(err error) string {
	var failed *commandError
	if errors.As(err, &failed) {
		return strings.TrimSpace(failed.stderr)
	}
	return ""
}

// listPods lists the pods of the workload's namespace by one request of kubectl. It returns what
// kubectl printed on standard error, the audit log's events of that request with their users, and
// the part of the API server's log that was written in the meantime.
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

// serverLog returns the API server's log.
func (c *cluster) serverLog(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(c.file("server.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// testRefusedByServer checks what users learn if Entra ID issues a token that the API server
// refuses. The API server's log has the reason, which kubectl and akslogin cannot know. akslogin -v
// logs which token it requested.
func testRefusedByServer(t *testing.T, c *cluster) {
	for name, test := range map[string]struct {
		flags     []string
		serverLog string // in the API server's log
		verbose   string // in the log of akslogin -v
		namespace string
	}{
		"wrong audience": {
			flags:     []string{"--server-id", otherServer},
			serverLog: fmt.Sprintf(`expected audience \"%s\" got [\"%s\"]`, entratest.AKSServerID, otherServer),
			verbose:   "audience=" + otherServer,
			namespace: "audience",
		},
		"foreign tenant": {
			flags:     []string{"--tenant-id", foreignTenant},
			serverLog: `err="invalid bearer token"`,
			verbose:   "tenant=" + foreignTenant,
			namespace: "foreign",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.newWorkload(t, test.namespace, test.flags...)
			w.entra.RegisterResource(homeTenant, otherServer)
			stderr, events, log := w.listPods(t)
			want := []string{`kubectl list pods 401 by ""`}
			if stderr != unauthorized || !slices.Equal(events, want) ||
				!strings.Contains(log, test.serverLog) {
				t.Errorf("kubectl printed %q; the API server's events are %q, want %q; log:\n%s",
					stderr, events, want, log)
			}
			out, err := w.kubectl(t, "get", "pods")
			const notLoggedIn = "error: You must be logged in to the server"
			if err == nil || out != "" || !strings.Contains(stderrOf(err), notLoggedIn) {
				t.Errorf("%q %v", out, err)
			}
			if n := w.entra.TokenRequests(); n != 1 { // kubectl ran akslogin several times
				t.Errorf("%d token requests, want 1", n)
			}
			w.editKubeconfig(t, `- "get-token"`, `- "get-token"`+
				"\n      - \"--v=1\"\n      - \"--cache-dir="+t.TempDir()+`"`)
			stderr, _, _ = w.listPods(t)
			if !strings.Contains(stderr, test.verbose) || !strings.HasSuffix(stderr, unauthorized) {
				t.Errorf("with -v: %s", stderr)
			}
			if accepted := w.acceptedTokens(t); len(accepted) > 0 {
				t.Errorf("the API server accepted %q", accepted)
			}
		})
	}
}

// testOtherCluster checks that a cluster that trusts another tenant refuses a token.
func testOtherCluster(t *testing.T, c *cluster) {
	other := startCluster(t, foreignTenant)
	w := c.newWorkload(t, "here")
	stderr, events, _ := w.listPods(t)
	accepted := fmt.Sprintf("kubectl list pods 200 by %q", w.objectID())
	if stderr != "" || !slices.Equal(events, []string{accepted}) {
		t.Fatalf("%q %q", stderr, events)
	}
	w.cluster = &cluster{
		tenant: homeTenant, dir: other.dir, address: other.address, admin: other.admin,
	}
	w.kubeconfig = w.writeConfig(t, "yaml")
	stderr, events, log := w.listPods(t)
	refused := []string{`kubectl list pods 401 by ""`}
	if stderr != unauthorized || !slices.Equal(events, refused) ||
		!strings.Contains(log, "invalid bearer token") {
		t.Errorf("kubectl printed %q; the API server's events are %q; its log:\n%s",
			stderr, events, log)
	}
	w.cluster = c
	w.expectOneToken(t)
}

// testRefusedByEntra checks that users see akslogin's error and hint, and that the API server gets
// no request, if Entra ID issues no token.
func testRefusedByEntra(t *testing.T, c *cluster) {
	for name, test := range map[string]struct {
		tenant, code, hint, namespace string
		requests                      int
	}{
		"unknown tenant":        {unknownTenant, "AADSTS90002", "there is no tenant " + unknownTenant + " (--tenant-id)", "unknown", 1},
		"not in foreign tenant": {foreignTenant, "AADSTS700016", "is not a managed identity or application of tenant " + foreignTenant + " (--tenant-id)", "stranger", 1},
		"federated by nobody":   {homeTenant, "AADSTS700213", "needs a federated credential with exactly issuer https://oidc.example/cluster-a/ , subject system:serviceaccount:unfederated:worker", "unfederated", 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.newWorkload(t, test.namespace, "--tenant-id", test.tenant)
			w.entra = entratest.New(t)
			w.entra.Register(entratest.App{
				Tenant: homeTenant, ClientID: w.clientID(),
				FederatedCredentials: []entratest.FederatedCredential{
					{Issuer: w.entra.Issuer, Subject: "another"},
				},
			})
			w.entra.Register(entratest.App{Tenant: foreignTenant, ClientID: clientID(0)})
			stderr, events, _ := w.listPods(t)
			lines := strings.Split(stderr, "\n")
			if len(lines) != 3 || !strings.HasPrefix(lines[0], "akslogin: error: ") ||
				!strings.Contains(lines[0], test.code) ||
				!strings.HasPrefix(lines[1], "akslogin: hint: ") ||
				!strings.Contains(lines[1], test.hint) {
				t.Errorf("kubectl and akslogin printed %s", stderr)
			}
			if n := w.entra.TokenRequests(); len(events) > 0 || n != test.requests {
				t.Errorf("the API server's events are %q; %d token requests, want %d",
					events, n, test.requests)
			}
		})
	}
}

// testForbidden checks that a user without permissions sees Kubernetes' error, which names the
// user.
func testForbidden(t *testing.T, c *cluster) {
	w := c.newWorkload(t, "forbidden")
	w.register(homeTenant) // in no group
	_, err := w.kubectl(t, "get", "pods")
	want := fmt.Sprintf(`Error from server (Forbidden): pods is forbidden: User "%s" `+
		`cannot list resource "pods" in API group "" in the namespace "forbidden"`, w.objectID())
	if stderrOf(err) != want {
		t.Errorf("kubectl printed %v, want %s", err, want)
	}
	w.expectRequests(t, "kubectl list pods 403")
	w.expectOneToken(t)
}
