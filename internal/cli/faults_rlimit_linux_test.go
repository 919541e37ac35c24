package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token"
)

// checkErrorLines tells whether a login failed in a way that people can read.
func (done exitResult) checkErrorLines() error {
	lines := strings.Split(strings.TrimSuffix(done.stderr, "\n"), "\n")
	if done.status.ExitStatus() != token.ExitLoginFailed || done.stdout != "" || len(lines) > 2 || !strings.HasPrefix(lines[0], "akslogin: error: ") {
		return fmt.Errorf("status %#x, %q, it says %q", done.status, done.stdout, done.stderr)
	}
	return nil
}

// However few files a process may open, a login ends in a token or in a line that names the reason.
// The test gets through many limits quickly.
func TestLowOpenFileLimit(t *testing.T) {
	prlimit := lookPath(t, "prlimit")
	f := newFaultTest(t)
	succeeded, refused := 0, 0
	for limit := 3; succeeded < 2; limit++ {
		home, err := f.newHome(nil)
		if err != nil {
			t.Fatal(err)
		}
		done, err := f.run(home, append([]string{prlimit, fmt.Sprintf("--nofile=%d:%d", limit, limit)}, f.command()...)...)
		if err != nil || limit > 100 {
			t.Fatal(limit, err)
		}
		if f.checkSuccess(done) == nil {
			succeeded++
			continue
		}
		refused++
		if err := done.checkErrorLines(); err != nil || !strings.Contains(done.stderr, "ulimit -n") || succeeded > 0 {
			t.Errorf("with %d files (%d limits below were enough): %v", limit, succeeded, err)
		}
	}
	if refused < 3 {
		t.Errorf("%d limits were too low: were there any?", refused)
	}
}

// lookPath finds a program that a test needs.
func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skipUnlessRequired(t, "no "+name+" here")
	}
	return path
}

// Limits that a container may have, at which a login has a token all the same.
func TestResourceLimits(t *testing.T) {
	prlimit := lookPath(t, "prlimit")
	f := newFaultTest(t)
	for name, c := range map[string]struct {
		limits string
		stored bool
	}{
		"nothing can be written":     {"--fsize=0:0", false},
		"no whole entry fits":        {"--fsize=1000:1000", false}, // it is written up to there, then comes SIGXFSZ
		"no memory is to be locked":  {"--memlock=0:0", true},
		"no core":                    {"--core=0:0", true},
		"little stack":               {"--stack=65536:65536", true},
		"no locks, no signals queue": {"--locks=0:0 --sigpending=0:0", true},
		"a gigabyte of addresses":    {"--as=1073741824:1073741824", true}, // below 600 MB Go's runtime does not start
		"a few seconds":              {"--cpu=5:5", true},
	} {
		t.Run(name, func(t *testing.T) {
			home, err := f.newHome(nil)
			if err != nil {
				t.Fatal(err)
			}
			// Ignored signals are inherited, as from Python, and these would be too kind.
			done, err := f.run(home, append(append([]string{"env", "--default-signal", prlimit}, strings.Fields(c.limits)...), f.command()...)...)
			if err == nil {
				err = f.checkSuccess(done)
			}
			if err != nil {
				t.Fatal(err)
			}
			all, err := readCacheFiles(home)
			for file := range all {
				if strings.HasSuffix(file, ".tmp") {
					t.Errorf("it left %s", file)
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

// An answer that nobody can take is a failure with a word, and is kept for the next run.
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
	closed, err := os.Open(os.DevNull) // not for writing, which comes to the same: Go opens /dev/null where there is none at all
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
				if want := "akslogin: error: write /dev/stdout: " + c.want + "\n"; cmd.ProcessState.ExitCode() != token.ExitLoginFailed || stderr.String() != want {
					t.Errorf("%v, it says %q; want %q", cmd.ProcessState, stderr.String(), want)
				}
			}
			if err := f.runWithoutFaults(home); err != nil {
				t.Error(err)
			}
			if got := f.entra.TokenRequests(); got != 1 {
				t.Errorf("%d token requests for one token", got)
			}
		})
	}
}
