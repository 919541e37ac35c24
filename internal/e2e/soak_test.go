package e2e

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

var (
	soak = flag.Duration("soak", 0, "how long TestSoak runs all clients; 0 skips it")
	pods = flag.Int("pods", 5, "number of pods in TestSoak, with twenty clients each")
)

// failures are the failures of Entra ID that every fifth token request meets, in turn.
var failures = []entratest.Failure{
	{AADSTS: 90033}, // "a transient error has occurred"
	{Break: entratest.BreakConnection},
	{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
	{Status: http.StatusBadGateway, Body: "<html>bad gateway</html>"},
	{Break: entratest.BreakBody},
}

const (
	failEvery     = 5
	tokenLifetime = 30 * time.Second
)

// clientKind is a kind of client. Every pod runs several of each.
type clientKind struct {
	name, agent string                      // agent is the client's name in the audit log
	number      int                         // of clients in each pod
	command     func(w *workload) *exec.Cmd // nil: kubectl, run repeatedly
}

// availableKinds returns the kinds of a pod's twenty clients. If the Python or JavaScript client is
// not installed, kubectl takes its place.
func availableKinds(t *testing.T) []clientKind {
	t.Helper()
	goClient := func(name string) func(w *workload) *exec.Cmd {
		return func(w *workload) *exec.Cmd { return w.goClient(t, name) }
	}
	kinds := []clientKind{
		{"kubectl", "kubectl", 8, nil},
		{"informer", "informer", 4, goClient("informer")},
		{"poller", "poller", 4, goClient("poller")},
	}
	optional := map[string]func(t *testing.T) clientKind{
		"Python": func(t *testing.T) clientKind {
			python := findPython(t)
			return clientKind{"Python", "OpenAPI-Generator", 2, func(w *workload) *exec.Cmd {
				connection := w.writeConfig(t, "airflow-connection")
				return w.command(python, "testdata/pod.py", connection, "poll")
			}}
		},
		"JavaScript": func(t *testing.T) clientKind {
			node, dir := findNode(t)
			return clientKind{"JavaScript", "node-fetch", 2, func(w *workload) *exec.Cmd {
				return w.command(node, "testdata/pod.mjs", dir, "poll")
			}}
		},
	}
	for name, find := range optional {
		var found clientKind // stays empty if find skips the subtest
		if !t.Run("look for "+name, func(t *testing.T) { found = find(t) }) {
			t.FailNow()
		}
		if found.number == 0 {
			kinds[0].number += 2
			continue
		}
		kinds = append(kinds, found)
	}
	return kinds
}

// TestSoak runs many clients for a while, while Entra ID fails, federated tokens are rotated and
// caches are removed. No client may get an error.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("make soak runs it")
	}
	s := &soakTest{kinds: availableKinds(t), outcomes: map[string]outcome{}}
	c := startCluster(t, homeTenant)
	for n := range *pods {
		w := c.newWorkload(t, fmt.Sprint("soak-", n))
		w.entra.SetTokenLifetime(tokenLifetime)
		w.entra.FailEvery(failEvery, failures...)
		s.workloads = append(s.workloads, w)
	}
	stop := make(chan struct{})
	var running, disruption sync.WaitGroup
	disruption.Go(func() { s.disrupt(t, stop) })
	start := time.Now()
	var stops []func()
	for _, kind := range s.kinds {
		for _, w := range s.workloads {
			for n := range kind.number {
				if kind.command == nil {
					running.Go(func() { s.repeatKubectl(t, w, kind, n, stop) })
					continue
				}
				r := startClient(t, kind.command(w), tokenLifetime)
				r.waitForOutput(t) // starting many at once would overload the machine
				stops = append(stops, func() { s.add(kind, r.stop) })
			}
		}
	}
	t.Logf("all clients run after %s", time.Since(start).Round(time.Second))
	time.Sleep(*soak)
	close(stop)
	running.Wait()
	for _, stop := range stops {
		running.Go(stop)
	}
	running.Wait()
	disruption.Wait()
	s.report(t, time.Since(start))
}

// disrupt rotates the federated token of every second pod and removes the cache of every third pod,
// every five seconds until stop is closed.
func (s *soakTest) disrupt(t *testing.T, stop chan struct{}) {
	for tick := 0; ; tick++ {
		for n, w := range s.workloads {
			if tick == 0 || (tick+n)%2 == 0 {
				if err := w.rotateToken(); err != nil {
					t.Errorf("rotate the federated token: %v", err)
				}
				s.rotated++
			}
			if (tick+n)%3 == 0 {
				if err := w.wipeCache(); err != nil {
					t.Logf("remove the cache: %v", err) // a client may have added a file
				}
				s.wiped++
			}
		}
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Second):
		}
	}
}

// rotateToken replaces the federated token as the kubelet does. It writes the token to a new
// directory, moves the link ..data there by an atomic rename, and removes the old directory.
func (w *workload) rotateToken() error {
	volume := filepath.Dir(w.tokenFile())
	dir, err := os.MkdirTemp(volume, "..")
	if err != nil {
		return err
	}
	data, link := filepath.Join(volume, "..data"), filepath.Join(volume, "..data_tmp")
	old, _ := os.Readlink(data) // "" on the first call
	const name = "federated-token"
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, name), []byte(w.assertion(time.Minute)), 0o600),
		os.Symlink(filepath.Base(dir), link),
		os.Rename(link, data),
	)
	switch {
	case err != nil:
		return err
	case old == "":
		return errors.Join(
			os.Symlink(filepath.Join("..data", name), link),
			os.Rename(link, w.tokenFile()),
		)
	}
	return os.RemoveAll(filepath.Join(volume, old))
}

// wipeCache removes the cache directory.
func (w *workload) wipeCache() error {
	return os.RemoveAll(filepath.Join(w.home, ".cache", "akslogin"))
}

// soakTest holds the clients of TestSoak and their results.
type soakTest struct {
	kinds     []clientKind
	workloads []*workload

	mu             sync.Mutex
	outcomes       map[string]outcome // by kind
	rotated, wiped int                // federated tokens rotated, caches removed
}

// add calls f without a lock, and adds the outcome that it returns to those of a kind.
func (s *soakTest) add(k clientKind, f func() outcome) {
	o := f()
	s.mu.Lock()
	defer s.mu.Unlock()
	total := s.outcomes[k.name]
	total.durations = append(total.durations, o.durations...)
	total.expired = append(total.expired, o.expired...)
	total.failures = append(total.failures, o.failures...)
	s.outcomes[k.name] = total
}

// repeatKubectl runs kubectl commands as client n of a pod, with pauses, until stop is closed.
func (s *soakTest) repeatKubectl(
	t *testing.T, w *workload, k clientKind, n int, stop chan struct{},
) {
	const pause = 20 * time.Second
	manifest := filepath.Join(w.home, fmt.Sprintf("pod-%d.json", n))
	pod := fmt.Sprint("task-", n)
	content := strings.Replace(podManifest, `"task"`, `"`+pod+`"`, 1)
	if err := os.WriteFile(manifest, []byte(content), 0o600); err != nil {
		t.Error(err)
		return
	}
	commands := [][]string{
		{"auth", "whoami", "-o", "name"},
		{"create", "-f", manifest, "-o", "name"},
		{"get", "pods", "-o", "name"},
		{"delete", "pod", pod, "-o", "name", "--wait=false"},
	}
	wait := time.Duration(n) * pause / time.Duration(k.number) // spreads the first commands
	for turn := 0; ; turn++ {
		select {
		case <-stop:
			return
		case <-time.After(wait):
		}
		wait = pause
		s.add(k, func() outcome {
			start := time.Now()
			_, err := w.kubectl(t, commands[turn%len(commands)]...)
			took := time.Since(start)
			switch {
			case err == nil:
				return outcome{durations: []time.Duration{took}}
			case expiredInFlight(took, err.Error(), tokenLifetime):
				return outcome{expired: []string{err.Error()}}
			}
			return outcome{failures: []string{err.Error()}}
		})
	}
}

// report logs the results. It fails the test for every error of a client, for every unexpected
// response of the API server, and if the emulators failed another number of requests than planned.
func (s *soakTest) report(t *testing.T, took time.Duration) {
	s.workloads[0].syncAuditLog(t)
	requests, issued, accepted := 0, 0, 0
	for _, w := range s.workloads {
		n, failed := w.entra.TokenRequests(), w.entra.TokenRequests()-w.entra.Issued()
		requests, issued = requests+n, issued+w.entra.Issued()
		accepted += len(w.acceptedTokens(t))
		if want := n / failEvery; failed != want {
			t.Errorf("%s: %d of %d token requests failed, want %d", w.namespace, failed, n, want)
		}
	}
	answered, refused := s.countEvents(t)
	total, expired := 0, 0
	t.Logf("%-10s %7s %8s %8s %8s %7s", "", "clients", "requests", "median", "longest", "expired")
	for _, k := range s.kinds {
		s.reportKind(t, k, answered[k.agent], refused[k.agent])
		expired += len(s.outcomes[k.name].expired)
	}
	for _, n := range answered {
		total += n
	}
	t.Logf("in %s the API server answered %d requests and accepted %d tokens",
		took.Round(time.Second), total, accepted)
	t.Logf("Entra ID got %d token requests, failed %d and issued %d tokens of %s",
		requests, requests-issued, issued, tokenLifetime)
	t.Logf("federated tokens were rotated %d times, caches removed %d times", s.rotated, s.wiped)
	if expired > 0 {
		t.Logf("%d tokens expired in requests that took more than %s: this machine is overloaded",
			expired, tokenLifetime/10)
	}
	if expired > total/100 {
		t.Error("this machine is too slow for a result")
	}
}

// countEvents returns the numbers of answered and of refused requests by client. It fails the test
// for any other unexpected response.
func (s *soakTest) countEvents(t *testing.T) (answered, refused map[string]int) {
	answered, refused = map[string]int{}, map[string]int{}
	users := map[string]bool{"": true} // refused requests have no user
	for _, w := range s.workloads {
		users[w.objectID()] = true
	}
	match := func(e event) bool { return users[e.User.Username] }
	for _, e := range s.workloads[0].audit(t, match) {
		agent, _, _ := strings.Cut(e.String(), " ")
		answered[agent]++
		switch e.ResponseStatus.Code {
		case http.StatusOK, http.StatusCreated, http.StatusNotModified:
		case http.StatusUnauthorized:
			refused[agent]++
		default:
			t.Errorf("%s by %q: %s", e, e.User.Username, e.RequestURI)
		}
	}
	return answered, refused
}

// reportKind logs and checks the results of a kind of client, and compares them with the numbers of
// its requests in the audit log.
func (s *soakTest) reportKind(t *testing.T, k clientKind, answered, refused int) {
	o, clients := s.outcomes[k.name], k.number**pods
	for _, failure := range o.failures {
		t.Errorf("%s: %s", k.name, failure)
	}
	durations := append(o.durations, 0)
	slices.Sort(durations)
	median, longest := durations[len(durations)/2], durations[len(durations)-1]
	t.Logf("%-10s %7d %8d %7.2fs %7.2fs %7d",
		k.name, clients, answered, median.Seconds(), longest.Seconds(), len(o.expired))
	if answered < clients {
		t.Errorf("%d requests by %d clients %s", answered, clients, k.name)
	}
	// kubectl may send several requests with an expired token; the others send one.
	expired := len(o.expired)
	if k.command != nil && refused != expired || k.command == nil && refused > 0 && expired == 0 {
		t.Errorf("%s: the API server refused %d requests, the clients reported %d",
			k.name, refused, expired)
	}
}
