package cli

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token"
)

// checkErrorLines checks that a login failed with one error line and at most one hint line.
func (r exitResult) checkErrorLines() error {
	lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
	isError := len(lines) <= 2 && strings.HasPrefix(lines[0], "akslogin: error: ")
	if r.status.ExitStatus() != token.ExitLoginFailed || r.stdout != "" || !isError {
		return fmt.Errorf("status %#x, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	return nil
}

// TestLowOpenFileLimit checks that, however few files a process may open, a login prints a token or
// an error that names the limit.
func TestLowOpenFileLimit(t *testing.T) {
	prlimit := lookPath(t, "prlimit")
	f := newFaultTest(t)
	succeeded, failed := 0, 0
	for limit := 3; succeeded < 2; limit++ {
		home, err := f.newHome(nil)
		if err != nil {
			t.Fatal(err)
		}
		nofile := fmt.Sprintf("--nofile=%d:%d", limit, limit)
		result, err := f.run(home, append([]string{prlimit, nofile}, f.command()...)...)
		if err != nil || limit > 100 {
			t.Fatal(limit, err)
		}
		if f.checkSuccess(result) == nil {
			succeeded++
			continue
		}
		failed++
		err = result.checkErrorLines()
		if err != nil || !strings.Contains(result.stderr, "ulimit -n") || succeeded > 0 {
			t.Errorf("with %d files (%d lower limits succeeded): %v", limit, succeeded, err)
		}
	}
	if failed < 3 {
		t.Errorf("only %d limits were too low: is the limit in effect?", failed)
	}
}

// lookPath returns the path of a program that a test needs, or skips the test.
func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skipUnlessRequired(t, name+" is not installed")
	}
	return path
}

// TestResourceLimits checks that a login succeeds under resource limits that a container may have.
func TestResourceLimits(t *testing.T) {
	prlimit := lookPath(t, "prlimit")
	f := newFaultTest(t)
	for name, c := range map[string]struct {
		limits string
		stored bool
	}{
		"empty files only":      {"--fsize=0:0", false},
		"entries do not fit":    {"--fsize=1000:1000", false}, // SIGXFSZ in the middle of an entry
		"no locked memory":      {"--memlock=0:0", true},
		"no core files":         {"--core=0:0", true},
		"small stack":           {"--stack=65536:65536", true},
		"no locks and signals":  {"--locks=0:0 --sigpending=0:0", true},
		"1 GB of address space": {"--as=1073741824:1073741824", true}, // with 600 MB Go does not start
		"a few seconds of CPU":  {"--cpu=5:5", true},
	} {
		t.Run(name, func(t *testing.T) {
			home, err := f.newHome(nil)
			if err != nil {
				t.Fatal(err)
			}
			// The signals of limits may be ignored in this process, as when Python starts it, and
			// children inherit that.
			command := []string{"env", "--default-signal", prlimit}
			command = slices.Concat(command, strings.Fields(c.limits), f.command())
			result, err := f.run(home, command...)
			if err == nil {
				err = f.checkSuccess(result)
			}
			if err != nil {
				t.Fatal(err)
			}
			all, err := readCacheFiles(home)
			for file := range all {
				if strings.HasSuffix(file, ".tmp") {
					t.Errorf("left %s", file)
				}
			}
			now, _ := readEntry(home)
			if stored := now != nil; stored != c.stored || err != nil {
				t.Errorf("stored: %v, %v", stored, err)
			}
			if err := f.runWithoutFaults(home); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStdoutWriteErrors checks that a credential which cannot be written to standard output is an
// error, and that its token is cached for the next run.
func TestStdoutWriteErrors(t *testing.T) {
	f := newFaultTest(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	reader, broken, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer broken.Close()
	// A descriptor for reading stands for a closed one: Go opens /dev/null in the place of a closed
	// standard output.
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	for _, c := range []struct {
		stdout *os.File
		want   string
	}{
		{full, "no space left on device"},
		{broken, "broken pipe"},
		{closed, "bad file descriptor"},
	} {
		t.Run(c.want, func(t *testing.T) {
			home, err := f.newHome(nil)
			if err != nil {
				t.Fatal(err)
			}
			f.entra.ResetCounters()
			for range 2 { // cold and warm
				var stderr strings.Builder
				cmd := exec.Command("env", append([]string{"--default-signal"}, f.command()...)...)
				cmd.Env, cmd.Stdout, cmd.Stderr = f.env(home), c.stdout, &stderr
				cmd.Run()
				want := "akslogin: error: write /dev/stdout: " + c.want + "\n"
				if cmd.ProcessState.ExitCode() != token.ExitLoginFailed || stderr.String() != want {
					t.Errorf("%v, stderr %q; want %q", cmd.ProcessState, stderr.String(), want)
				}
			}
			if err := f.runWithoutFaults(home); err != nil {
				t.Error(err)
			}
			if got := f.entra.TokenRequests(); got != 1 {
				t.Errorf("%d token requests, want 1", got)
			}
		})
	}
}
