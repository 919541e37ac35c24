package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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

// A runner runs contestants against an emulated Entra ID.
type runner struct {
	entra  *entratest.Server
	args   []string // of every contestant
	env    []string // of every contestant, with nothing of this process's but PATH
	dir    string   // temporary directory
	launch string   // path of internal/bench/launch

	stdin, stdout, stderr *os.File // of the contestant that runs
}

func newRunner(tb entratest.TB, launch string) (*runner, error) {
	entra := entratest.New(tb)
	entra.SetTokenLifetime(24 * time.Hour) // as long as a managed identity's tokens
	workload := entra.NewWorkload(24 * time.Hour)
	r := &runner{
		entra: entra,
		args: []string{
			"get-token", "--login", "workloadidentity",
			"--tenant-id", workload.TenantID, "--client-id", workload.ClientID,
			"--server-id", entratest.AKSServerID,
			"--federated-token-file", workload.TokenFile,
		},
		env:    append([]string{"PATH=" + os.Getenv("PATH")}, workload.Env...),
		dir:    tb.TempDir(),
		launch: launch,
	}
	var err error
	if r.stdin, err = os.Open(os.DevNull); err != nil {
		return nil, err
	}
	tb.Cleanup(func() { r.stdin.Close() })
	if r.stdout, err = os.Create(filepath.Join(r.dir, "stdout")); err != nil {
		return nil, err
	}
	tb.Cleanup(func() { r.stdout.Close() })
	if r.stderr, err = os.Create(filepath.Join(r.dir, "stderr")); err != nil {
		return nil, err
	}
	tb.Cleanup(func() { r.stderr.Close() })
	return r, nil
}

// setUp gives c a home directory and fills its cache. It counts the requests of one run: of a warm
// one, unless c is cold.
func (r *runner) setUp(c *contestant) error {
	file, err := os.Stat(c.program)
	if err != nil {
		return err
	}
	c.binarySize = file.Size()
	if c.home, err = os.MkdirTemp(r.dir, "home"); err != nil {
		return err
	}
	for range 2 { // the first run fills the cache
		if _, err := r.run(c); err != nil {
			return err
		}
	}
	c.requests, c.connections = len(r.entra.Requests()), r.entra.Connections()
	if c.cacheEntries == 0 {
		return nil
	}
	return fillCache(filepath.Join(c.home, ".cache", "akslogin"), c.cacheEntries)
}

// fillCache copies the only entry of a cache under other names until there are n entries.
func fillCache(cache string, n int) error {
	entries, err := filepath.Glob(filepath.Join(cache, "*.sealed"))
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return fmt.Errorf("%s has %d cache entries instead of 1", cache, len(entries))
	}
	sealed, err := os.ReadFile(entries[0])
	if err != nil {
		return err
	}
	for i := range n - 1 {
		path := filepath.Join(cache, fmt.Sprintf("%032x.sealed", i))
		if err := os.WriteFile(path, sealed, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// prepare does what must precede a run of c and is not measured.
func (r *runner) prepare(c *contestant) error {
	r.entra.SetLatency(c.latency)
	r.entra.SetRoundTrip(c.roundTrip)
	r.entra.ResetCounters()
	if !c.cold {
		return nil
	}
	return errors.Join(os.RemoveAll(c.home), os.Mkdir(c.home, 0o700))
}

// command returns a command that runs c. It starts with the given program and its arguments, if
// there are any, which must run the rest.
func (r *runner) command(c *contestant, wrapper ...string) *exec.Cmd {
	args := slices.Concat(wrapper, []string{c.program}, r.args, c.args)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(slices.Clone(r.env), "HOME="+c.home)
	return cmd
}

// runTime is what a run took.
type runTime struct{ wall, cpu time.Duration }

// run runs c once.
func (r *runner) run(c *contestant) (runTime, error) {
	if err := r.prepare(c); err != nil {
		return runTime{}, err
	}
	for _, file := range []*os.File{r.stdout, r.stderr} {
		if err := errors.Join(file.Truncate(0), rewind(file)); err != nil {
			return runTime{}, err
		}
	}
	cmd := r.command(c)
	files := []*os.File{r.stdin, r.stdout, r.stderr}
	runtime.GC() // so that it does not happen during the run
	start := time.Now()
	// exec.Cmd would do more within the measured time.
	process, err := os.StartProcess(cmd.Path, cmd.Args, &os.ProcAttr{Env: cmd.Env, Files: files})
	if err != nil {
		return runTime{}, err
	}
	state, err := process.Wait()
	wall := time.Since(start)
	if err != nil {
		return runTime{}, err
	}
	stdout, err := contents(r.stdout)
	if err != nil {
		return runTime{}, err
	}
	if !state.Success() || !c.noOutput && !hasToken(stdout) {
		stderr, _ := contents(r.stderr)
		return runTime{}, fmt.Errorf("%s: no exec credential: %s\n%s%s", c.name, state, stdout, stderr)
	}
	return runTime{wall, state.UserTime() + state.SystemTime()}, nil
}

// hasToken reports whether a program printed an exec credential.
func hasToken(stdout []byte) bool { return bytes.Contains(stdout, []byte(`"token":"eyJ`)) }

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

func (r *runner) sampleTimes(c *contestant) error {
	t, err := r.run(c)
	c.wall, c.cpu = append(c.wall, t.wall), append(c.cpu, t.cpu)
	return err
}

// sampleRoundTrips runs c without added latency and with longRoundTrip.
func (r *runner) sampleRoundTrips(c *contestant) error {
	near := *c
	near.latency, near.roundTrip = 0, 0
	nearTime, err := r.run(&near)
	if err != nil {
		return err
	}
	far := near
	far.roundTrip = longRoundTrip
	farTime, err := r.run(&far)
	c.nearTimes = append(c.nearTimes, nearTime.wall)
	c.farTimes = append(c.farTimes, farTime.wall)
	return err
}

// sampleParallel starts parallelProcesses processes at once and waits for all. They must print the
// same exec credential.
func (r *runner) sampleParallel(c *contestant) error {
	if err := r.prepare(c); err != nil {
		return err
	}
	outputs, errs := make([]string, parallelProcesses), make([]error, parallelProcesses)
	var processes sync.WaitGroup
	runtime.GC()
	start := time.Now()
	for i := range parallelProcesses {
		processes.Go(func() {
			var stderr strings.Builder
			cmd := r.command(c)
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if outputs[i] = string(out); err != nil {
				errs[i] = fmt.Errorf("%s, %d at once: %w\n%s",
					c.name, parallelProcesses, err, stderr.String())
			}
		})
	}
	processes.Wait()
	elapsed := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(outputs)))
	if len(distinct) != 1 || !hasToken([]byte(distinct[0])) {
		return fmt.Errorf("%s: %d at once printed %d different documents",
			c.name, parallelProcesses, len(distinct))
	}
	c.parallelTimes = append(c.parallelTimes, elapsed)
	c.parallelTokenRequests = max(c.parallelTokenRequests, r.entra.TokenRequests())
	return nil
}

// sampleMemory reads the peak memory and the page faults of a run from internal/bench/launch.
func (r *runner) sampleMemory(c *contestant) error {
	if err := r.prepare(c); err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd := r.command(c, r.launch)
	cmd.ExtraFiles = []*os.File{write}
	err = cmd.Run()
	write.Close()
	var kib, faults float64
	if err == nil {
		_, err = fmt.Fscan(read, &kib, &faults)
	}
	if err != nil {
		return fmt.Errorf("%s: measure memory: %w", c.name, err)
	}
	c.peakMemory = append(c.peakMemory, kib*1024/1e6)
	c.pageFaults = append(c.pageFaults, faults)
	return nil
}
