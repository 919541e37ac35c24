package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

const (
	tenant  = "11111111-aaaa-4444-8888-000000000001"
	client  = "22222222-bbbb-4444-8888-000000000001"
	subject = "system:serviceaccount:airflow:worker"
)

// A contestant is a program in one of its situations.
type contestant struct {
	name     string
	program  string
	args     []string // besides those that all have
	env      []string // likewise
	silent   bool     // it prints nothing
	cold     bool     // nothing is cached when it starts
	crowded  int      // that many entries of others are cached too
	latency  time.Duration
	distance time.Duration

	home                  string
	runs                  []taken
	requests, connections int // of one run
}

// taken is what a run took.
type taken struct{ wall, cpu time.Duration }

// field is where contestants meet.
type field struct {
	entra     *entratest.Server
	args, env []string
	dir       string
	out, said *os.File // of the contestant that runs
}

func newField(tb entratest.TB) (*field, error) {
	entra := entratest.New(tb)
	entra.Register(
		entratest.App{
			Tenant:   tenant,
			ClientID: client,
			FederatedCredentials: []entratest.FederatedCredential{
				{Issuer: entra.Issuer, Subject: subject},
			},
		},
	)
	entra.SetTokenLifetime(24 * time.Hour) // a managed identity's tokens live that long
	f := &field{entra: entra, dir: tb.TempDir()}
	federated := filepath.Join(f.dir, "azure-identity-token")
	if err := os.WriteFile(
		federated,
		[]byte(
			entra.Assertion(
				entratest.Claims{Subject: subject, Expires: time.Now().Add(24 * time.Hour)},
			),
		),
		0o600,
	); err != nil {
		return nil, err
	}
	f.args = []string{
		"get-token",
		"--login",
		"workloadidentity",
		"--tenant-id",
		tenant,
		"--client-id",
		client,
		"--server-id",
		entratest.AKSServerID,
		"--federated-token-file",
		federated,
	}
	f.env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HTTPS_PROXY=" + entra.ProxyURL,
		"SSL_CERT_FILE=" + entra.CAFile,
	} // and nothing of the caller's
	for name, file := range map[string]**os.File{"out": &f.out, "said": &f.said} {
		var err error
		if *file, err = os.Create(filepath.Join(f.dir, name)); err != nil {
			return nil, err
		}
		tb.Cleanup(func() { (*file).Close() })
	}
	return f, nil
}

// enter makes a contestant ready: warm, unless it is cold, and with its requests counted.
func (f *field) enter(c *contestant) error {
	home, err := os.MkdirTemp(f.dir, "home")
	if err != nil {
		return err
	}
	c.home = home
	for range 2 { // the first run makes the second one warm
		if _, err := f.run(c); err != nil {
			return err
		}
	}
	c.requests, c.connections = len(f.entra.Requests()), f.entra.Connections()
	if c.crowded > 0 {
		return crowd(filepath.Join(home, ".cache", "akslogin"), c.crowded)
	}
	return nil
}

// crowd copies the only entry of a cache under other names until there are n.
func crowd(cache string, n int) error {
	entries, err := filepath.Glob(filepath.Join(cache, "*.sealed"))
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return fmt.Errorf(
			"%d entries in %s, and not one: the program does not cache",
			len(entries),
			cache,
		)
	}
	sealed, err := os.ReadFile(entries[0])
	if err != nil {
		return err
	}
	for i := range n - 1 {
		if err := os.WriteFile(
			filepath.Join(cache, fmt.Sprintf("%032x.sealed", i)),
			sealed,
			0o600,
		); err != nil {
			return err
		}
	}
	return nil
}

// prepare is what precedes a run of c and is not measured.
func (f *field) prepare(c *contestant) error {
	f.entra.SetLatency(c.latency)
	f.entra.SetRoundTrip(c.distance)
	f.entra.ResetCounters()
	if !c.cold {
		return nil
	}
	return errors.Join(os.RemoveAll(c.home), os.Mkdir(c.home, 0o700))
}

// command is the words and the surroundings of c.
func (f *field) command(c *contestant) (words, env []string) {
	return slices.Concat(
			[]string{c.program},
			f.args,
			c.args,
		), slices.Concat(
			f.env,
			[]string{"HOME=" + c.home},
			c.env,
		)
}

// run runs c once.
func (f *field) run(c *contestant) (taken, error) {
	if err := f.prepare(c); err != nil {
		return taken{}, err
	}
	for _, file := range []*os.File{f.out, f.said} {
		if err := errors.Join(file.Truncate(0), rewind(file)); err != nil {
			return taken{}, err
		}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return taken{}, err
	}
	defer null.Close()
	words, env := f.command(c)
	runtime.GC() // not while it runs
	began := time.Now()
	p, err := os.StartProcess(
		c.program,
		words,
		&os.ProcAttr{Env: env, Files: []*os.File{null, f.out, f.said}},
	)
	if err != nil {
		return taken{}, err
	}
	state, err := p.Wait()
	t := taken{wall: time.Since(began)}
	if err != nil {
		return taken{}, err
	}
	t.cpu = state.UserTime() + state.SystemTime()
	out, err := contents(f.out)
	if err != nil {
		return taken{}, err
	}
	if !state.Success() || !c.silent && !answers(out) {
		said, _ := contents(f.said)
		return taken{}, fmt.Errorf("%s: %s\n%s%s", c.name, state, out, said)
	}
	return t, nil
}

// answers tells whether there is a token in what was printed.
func answers(out []byte) bool { return bytes.Contains(out, []byte(`"token":"eyJ`)) }

func rewind(file *os.File) error {
	_, err := file.Seek(0, io.SeekStart)
	return err
}

func contents(file *os.File) ([]byte, error) {
	if err := rewind(file); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

// compete lets all run in turn, in another order each time, so that what else the machine does
// meets all of them.
func (f *field) compete(all []*contestant, rounds int) error {
	for range rounds {
		for _, i := range rand.Perm(len(all)) {
			t, err := f.run(all[i])
			if err != nil {
				return err
			}
			all[i].runs = append(all[i].runs, t)
		}
	}
	return nil
}

// atOnce starts c n times and waits for all. All must print the same.
func (f *field) atOnce(c *contestant, n int) (took time.Duration, err error) {
	if err := f.prepare(c); err != nil {
		return 0, err
	}
	words, env := f.command(c)
	outputs, errs := make([]string, n), make([]error, n)
	var all sync.WaitGroup
	runtime.GC()
	began := time.Now()
	for i := range n {
		all.Go(func() {
			var said strings.Builder
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Env, cmd.Stderr = env, &said
			out, err := cmd.Output()
			if outputs[i] = string(out); err != nil {
				errs[i] = fmt.Errorf("%s, %d at once: %w\n%s", c.name, n, err, said.String())
			}
		})
	}
	all.Wait()
	took = time.Since(began)
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	if different := slices.Compact(
		slices.Sorted(slices.Values(outputs)),
	); len(different) != 1 ||
		!answers([]byte(different[0])) {
		return 0, fmt.Errorf(
			"%s: %d at once printed %d different documents",
			c.name,
			n,
			len(different),
		)
	}
	return took, nil
}
