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

// badWeather is what every fifth token request meets, in turn.
var badWeather = []entratest.Failure{
	{AADSTS: 90033}, // "a transient error has occurred"
	{Break: entratest.BreakConnection},
	{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
	{Status: http.StatusBadGateway, Body: "<html>bad gateway</html>"},
	{Break: entratest.BreakBody},
}

const (
	failEvery = 5
	tokenLife = 30 * time.Second
)

// A kind of client, of which a pod has a number. Its command runs on until it is over; without one
// kubectl is run again and again.
type kind struct {
	name, agent string // agent is what the audit log calls it
	number      int
	command     func(w *workload) *exec.Cmd
}

// kindsHere are twenty clients. Where the Python or JavaScript client is not there, kubectl takes
// its place.
func kindsHere(t *testing.T) []kind {
	t.Helper()
	all := []kind{
		{"kubectl", "kubectl", 8, nil},
		{"informer", "informer", 4, func(w *workload) *exec.Cmd { return w.goClient(t, "informer") }},
		{"poller", "poller", 4, func(w *workload) *exec.Cmd { return w.goClient(t, "poller") }},
	}
	others := map[string]func(t *testing.T) kind{
		"Python": func(t *testing.T) kind {
			interpreter := python(t)
			return kind{"Python", "OpenAPI-Generator", 2, func(w *workload) *exec.Cmd {
				return w.command(interpreter, "testdata/pod.py", w.write(t, "airflow-connection"), "poll")
			}}
		},
		"JavaScript": func(t *testing.T) kind {
			interpreter, folder := node(t)
			return kind{"JavaScript", "node-fetch", 2, func(w *workload) *exec.Cmd {
				return w.command(interpreter, "testdata/pod.mjs", folder, "poll")
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
	s := &soaking{kinds: kindsHere(t), got: map[string]outcome{}}
	c := startCluster(t, homeTenant)
	for n := range *pods {
		w := c.newWorkload(t, fmt.Sprint("soak-", n))
		w.entra.SetTokenLifetime(tokenLife)
		w.entra.FailEvery(failEvery, badWeather...)
		s.all = append(s.all, w)
	}
	over := make(chan struct{})
	var atWork, weather sync.WaitGroup
	weather.Go(func() { s.weather(t, over) })
	began := time.Now()
	var ends []func()
	for _, kind := range s.kinds {
		for _, w := range s.all {
			for n := range kind.number {
				if kind.command == nil {
					atWork.Go(func() { s.again(t, w, kind, n, over) })
					continue
				}
				r := begin(t, kind.command(w), tokenLife)
				r.untilAtWork(t) // one after the other: to start costs more than all that they do then
				ends = append(ends, func() { s.note(kind, r.end) })
			}
		}
	}
	t.Logf("after %s all are at work", time.Since(began).Round(time.Second))
	time.Sleep(*soak)
	close(over)
	atWork.Wait()
	for _, end := range ends {
		atWork.Go(end)
	}
	atWork.Wait()
	weather.Wait()
	s.report(t, time.Since(began))
}

// weather goes on until it is over: every five seconds half of the pods have their federated token
// rotated, and a third their cache wiped.
func (s *soaking) weather(t *testing.T, over chan struct{}) {
	for tick := 0; ; tick++ {
		for n, w := range s.all {
			if tick == 0 || (tick+n)%2 == 0 {
				if err := w.mountToken(); err != nil {
					t.Errorf("rotating: %v", err)
				}
				s.rotated++
			}
			if (tick+n)%3 == 0 {
				if err := w.wipe(); err != nil {
					t.Logf("wiping: %v", err) // something was made in the folder meanwhile
				}
				s.wiped++
			}
		}
		select {
		case <-over:
			return
		case <-time.After(5 * time.Second):
		}
	}
}

// mountToken puts a new federated token where the old one is, as the kubelet does: a new folder, to
// which the link ..data is moved by a rename, and then the old folder goes.
func (w *workload) mountToken() error {
	volume := filepath.Dir(w.token())
	folder, err := os.MkdirTemp(volume, "..")
	if err != nil {
		return err
	}
	data, link := filepath.Join(volume, "..data"), filepath.Join(volume, "..data_tmp")
	old, _ := os.Readlink(data) // none at first
	err = errors.Join(
		os.WriteFile(filepath.Join(folder, "federated-token"), []byte(w.assertion(time.Minute)), 0o600),
		os.Symlink(filepath.Base(folder), link),
		os.Rename(link, data),
	)
	switch {
	case err != nil:
		return err
	case old == "":
		return errors.Join(os.Symlink(filepath.Join("..data", "federated-token"), link), os.Rename(link, w.token()))
	}
	return os.RemoveAll(filepath.Join(volume, old))
}

// wipe removes the cache's folder, as somebody would who tidies up.
func (w *workload) wipe() error { return os.RemoveAll(filepath.Join(w.home, ".cache", "akslogin")) }

// soaking is what there is, and what came of it so far.
type soaking struct {
	kinds []kind
	all   []*workload

	mu             sync.Mutex
	got            map[string]outcome // by kind
	rotated, wiped int
}

// note keeps what some client of a kind got.
func (s *soaking) note(k kind, f func() outcome) {
	more := f()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.got[k.name]
	all.waits, all.overtaken, all.wrong = append(all.waits, more.waits...), append(all.overtaken, more.overtaken...), append(all.wrong, more.wrong...)
	s.got[k.name] = all
}

// again runs kubectl until it is over, with a pause after each time.
func (s *soaking) again(t *testing.T, w *workload, k kind, n int, over chan struct{}) {
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
		case <-over:
			return
		case <-time.After(wait):
		}
		wait = pause
		s.note(k, func() outcome {
			began := time.Now()
			_, err := w.kubectl(t, commands[turn%len(commands)]...)
			took := time.Since(began)
			switch {
			case err == nil:
				return outcome{waits: []time.Duration{took}}
			case overtaken(took, err.Error(), tokenLife):
				return outcome{overtaken: []string{err.Error()}}
			}
			return outcome{wrong: []string{err.Error()}}
		})
	}
}

// report prints the figures and fails the test for whatever was not as it should be: any answer but
// a good one, or an Entra ID that failed more or less often than it was told to.
func (s *soaking) report(t *testing.T, took time.Duration) {
	s.all[0].settle(t)
	served, refused, answers := map[string]int{}, map[string]int{}, 0
	users := map[string]bool{"": true} // a request without a user was refused
	requests, issued, used := 0, 0, 0
	for _, w := range s.all {
		users[w.objectID()] = true
		used += len(w.used(t))
		requests, issued = requests+w.entra.TokenRequests(), issued+w.entra.Issued()
		if got, want := w.entra.TokenRequests()-w.entra.Issued(), w.entra.TokenRequests()/failEvery; got != want {
			t.Errorf("%s: %d of %d token requests failed, want %d", w.namespace, got, w.entra.TokenRequests(), want)
		}
	}
	for _, e := range s.all[0].audit(t, func(e event) bool { return users[e.User.Username] }) {
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
		got := s.got[k.name]
		for _, wrong := range got.wrong {
			t.Errorf("%s: %s", k.name, wrong)
		}
		waits := append(got.waits, 0)
		slices.Sort(waits)
		t.Logf("%-10s %7d %8d %7.2fs %7.2fs %9d", k.name, k.number**pods, served[k.agent], waits[len(waits)/2].Seconds(), waits[len(waits)-1].Seconds(), len(got.overtaken))
		if served[k.agent] < k.number**pods {
			t.Errorf("%d requests by %d times %s", served[k.agent], k.number**pods, k.name)
		}
		if n := len(got.overtaken); k.command != nil && refused[k.agent] != n || k.command == nil && refused[k.agent] > 0 && n == 0 { // kubectl may ask several times
			t.Errorf("%s: the API server refused %d requests, of which the clients explain %d", k.name, refused[k.agent], n)
		}
		total += len(got.overtaken)
	}
	t.Logf("in %s the API server answered %d requests, with %d tokens", took.Round(time.Second), answers, used)
	t.Logf("Entra ID got %d token requests, failed %d and issued %d tokens of %s", requests, requests-issued, issued, tokenLife)
	t.Logf("federated tokens were rotated %d times, caches wiped %d times", s.rotated, s.wiped)
	if total > 0 {
		t.Logf("this machine stood still for more than %s at times, and %d tokens ended while requests were on their way", tokenLife/10, total)
	}
	if total > answers/100 {
		t.Error("it is too slow for a verdict")
	}
}
