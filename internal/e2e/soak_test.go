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
	soak = flag.Duration("soak", 0, "how long TestSoak goes on when all clients are at work; by default it does not run")
	pods = flag.Int("pods", 5, "how many pods there are in TestSoak, with twenty clients each")
)

// failures is what every fifth token request meets, in turn.
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

// A kind of client, of which a pod has a number. Its command runs on until it is over; without one
// kubectl is run again and again.
type kind struct {
	name, agent string // agent is what the audit log calls it
	number      int
	command     func(w *workload) *exec.Cmd
}

// availableKinds are twenty clients. Where the Python or JavaScript client is not there, kubectl takes
// its place.
func availableKinds(t *testing.T) []kind {
	t.Helper()
	all := []kind{
		{"kubectl", "kubectl", 8, nil},
		{"informer", "informer", 4, func(w *workload) *exec.Cmd { return w.goClient(t, "informer") }},
		{"poller", "poller", 4, func(w *workload) *exec.Cmd { return w.goClient(t, "poller") }},
	}
	others := map[string]func(t *testing.T) kind{
		"Python": func(t *testing.T) kind {
			interpreter := findPython(t)
			return kind{"Python", "OpenAPI-Generator", 2, func(w *workload) *exec.Cmd {
				return w.command(interpreter, "testdata/pod.py", w.writeConfig(t, "airflow-connection"), "poll")
			}}
		},
		"JavaScript": func(t *testing.T) kind {
			interpreter, dir := findNode(t)
			return kind{"JavaScript", "node-fetch", 2, func(w *workload) *exec.Cmd {
				return w.command(interpreter, "testdata/pod.mjs", dir, "poll")
			}}
		},
	}
	for name, other := range others {
		var here kind
		if !t.Run("look for "+name, func(t *testing.T) { here = other(t) }) {
			t.FailNow()
		}
		if here.number == 0 {
			all[0].number += 2
			continue
		}
		all = append(all, here)
	}
	return all
}

// TestSoak has many clients work in bad weather for a while. None of them may notice.
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
	var ends []func()
	for _, kind := range s.kinds {
		for _, w := range s.workloads {
			for n := range kind.number {
				if kind.command == nil {
					running.Go(func() { s.repeatKubectl(t, w, kind, n, stop) })
					continue
				}
				r := startClient(t, kind.command(w), tokenLifetime)
				r.waitForOutput(t) // one after the other: to start costs more than all that they do then
				ends = append(ends, func() { s.add(kind, r.stop) })
			}
		}
	}
	t.Logf("after %s all are at work", time.Since(start).Round(time.Second))
	time.Sleep(*soak)
	close(stop)
	running.Wait()
	for _, end := range ends {
		running.Go(end)
	}
	running.Wait()
	disruption.Wait()
	s.report(t, time.Since(start))
}

// weather goes on until it is over: every five seconds half of the pods have their federated token
// rotated, and a third their cache wiped.
func (s *soakTest) disrupt(t *testing.T, stop chan struct{}) {
	for tick := 0; ; tick++ {
		for n, w := range s.workloads {
			if tick == 0 || (tick+n)%2 == 0 {
				if err := w.rotateToken(); err != nil {
					t.Errorf("rotating: %v", err)
				}
				s.rotated++
			}
			if (tick+n)%3 == 0 {
				if err := w.wipeCache(); err != nil {
					t.Logf("wiping: %v", err) // something was made in the dir meanwhile
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

// rotateToken puts a new federated token where the old one is, as the kubelet does: a new dir, to
// which the link ..data is moved by a rename, and then the old dir goes.
func (w *workload) rotateToken() error {
	volume := filepath.Dir(w.tokenFile())
	dir, err := os.MkdirTemp(volume, "..")
	if err != nil {
		return err
	}
	data, link := filepath.Join(volume, "..data"), filepath.Join(volume, "..data_tmp")
	old, _ := os.Readlink(data) // none at first
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "federated-token"), []byte(w.assertion(time.Minute)), 0o600),
		os.Symlink(filepath.Base(dir), link),
		os.Rename(link, data),
	)
	switch {
	case err != nil:
		return err
	case old == "":
		return errors.Join(os.Symlink(filepath.Join("..data", "federated-token"), link), os.Rename(link, w.tokenFile()))
	}
	return os.RemoveAll(filepath.Join(volume, old))
}

// wipe removes the cache's dir, as somebody would who tidies up.
func (w *workload) wipeCache() error {
	return os.RemoveAll(filepath.Join(w.home, ".cache", "akslogin"))
}

// soakTest is what there is, and what came of it so far.
type soakTest struct {
	kinds     []kind
	workloads []*workload

	mu             sync.Mutex
	outcomes       map[string]outcome // by kind
	rotated, wiped int
}

// note keeps what some client of a kind got.
func (s *soakTest) add(k kind, f func() outcome) {
	more := f()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.outcomes[k.name]
	all.durations, all.expired, all.failures = append(all.durations, more.durations...), append(all.expired, more.expired...), append(all.failures, more.failures...)
	s.outcomes[k.name] = all
}

// again runs kubectl until it is over, with a pause after each time.
func (s *soakTest) repeatKubectl(t *testing.T, w *workload, k kind, n int, stop chan struct{}) {
	const pause = 20 * time.Second
	manifest := filepath.Join(w.home, fmt.Sprintf("pod-%d.json", n))
	pod := fmt.Sprint("task-", n)
	if err := os.WriteFile(manifest, []byte(strings.Replace(podManifest, `"task"`, `"`+pod+`"`, 1)), 0o600); err != nil {
		t.Error(err)
		return
	}
	commands := [][]string{
		{"auth", "whoami", "-o", "name"},
		{"create", "-f", manifest, "-o", "name"},
		{"get", "pods", "-o", "name"},
		{"delete", "pod", pod, "-o", "name", "--wait=false"},
	}
	wait := time.Duration(n) * pause / time.Duration(k.number) // so that they do not all come at once
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

// report prints the figures and fails the test for whatever was not as it should be: any answer but
// a good one, or an Entra ID that failed more or less often than it was told to.
func (s *soakTest) report(t *testing.T, took time.Duration) {
	s.workloads[0].syncAuditLog(t)
	served, refused, answers := map[string]int{}, map[string]int{}, 0
	users := map[string]bool{"": true} // a request without a user was refused
	requests, issued, used := 0, 0, 0
	for _, w := range s.workloads {
		users[w.objectID()] = true
		used += len(w.acceptedTokens(t))
		requests, issued = requests+w.entra.TokenRequests(), issued+w.entra.Issued()
		if got, want := w.entra.TokenRequests()-w.entra.Issued(), w.entra.TokenRequests()/failEvery; got != want {
			t.Errorf("%s: %d of %d token requests failed, want %d", w.namespace, got, w.entra.TokenRequests(), want)
		}
	}
	for _, e := range s.workloads[0].audit(t, func(e event) bool { return users[e.User.Username] }) {
		agent, _, _ := strings.Cut(e.String(), " ")
		served[agent]++
		answers++
		switch e.ResponseStatus.Code {
		case http.StatusOK, http.StatusCreated, http.StatusNotModified:
		case http.StatusUnauthorized:
			refused[agent]++
		default:
			t.Errorf("%s by %q: %s", e, e.User.Username, e.RequestURI)
		}
	}
	t.Logf("%-10s %7s %8s %8s %8s %9s", "", "clients", "requests", "median", "longest", "overtaken")
	total := 0
	for _, k := range s.kinds {
		got := s.outcomes[k.name]
		for _, wrong := range got.failures {
			t.Errorf("%s: %s", k.name, wrong)
		}
		waits := append(got.durations, 0)
		slices.Sort(waits)
		t.Logf("%-10s %7d %8d %7.2fs %7.2fs %9d", k.name, k.number**pods, served[k.agent], waits[len(waits)/2].Seconds(), waits[len(waits)-1].Seconds(), len(got.expired))
		if served[k.agent] < k.number**pods {
			t.Errorf("%d requests by %d times %s", served[k.agent], k.number**pods, k.name)
		}
		if n := len(got.expired); k.command != nil && refused[k.agent] != n || k.command == nil && refused[k.agent] > 0 && n == 0 { // kubectl may ask several times
			t.Errorf("%s: the API server refused %d requests, of which the clients explain %d", k.name, refused[k.agent], n)
		}
		total += len(got.expired)
	}
	t.Logf("in %s the API server answered %d requests, with %d tokens", took.Round(time.Second), answers, used)
	t.Logf("Entra ID got %d token requests, failed %d and issued %d tokens of %s", requests, requests-issued, issued, tokenLifetime)
	t.Logf("federated tokens were rotated %d times, caches wiped %d times", s.rotated, s.wiped)
	if total > 0 {
		t.Logf("this machine stood still for more than %s at times, and %d tokens ended while requests were on their way", tokenLifetime/10, total)
	}
	if total > answers/100 {
		t.Error("it is too slow for a verdict")
	}
}
