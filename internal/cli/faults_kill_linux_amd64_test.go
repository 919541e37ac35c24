package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// killedRun is a run that was killed, and what it found.
type killedRun struct {
	at     call
	home   string
	before []byte // the entry
}

func (c *killedRun) String() string { return "killed at " + c.at.String() }

// A login that is killed at any system call on the disk leaves the old entry or the new one, whole.
// The next finds out which, and waits for nobody.
func TestKilledAtEverySystemCall(t *testing.T) {
	f := newFaultTest(t)
	stale := f.staleCache()
	lock := ""
	for name := range stale {
		if strings.HasSuffix(name, ".lock") {
			lock = name
		}
	}
	for name, state := range map[string]struct {
		files   map[string][]byte
		stopped bool            // somebody holds the lock and shows no sign of life
		only    map[string]bool // the calls at which it is killed; nil: all
	}{
		"no folder":      {},
		"stale":          {files: stale, only: modifyingCalls},
		"stopped holder": {files: map[string][]byte{lock: nil}, stopped: true, only: modifyingCalls},
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			var held []*os.File
			home := func() string {
				home, err := f.newHome(state.files)
				if err != nil {
					t.Fatal(err)
				}
				if state.stopped {
					held = append(held, holdLock(t, filepath.Join(cacheDir(home), lock)))
				}
				return home
			}
			var crimes []*killedRun
			first := home()
			for _, c := range f.traceCalls(first, first) {
				if state.only == nil || state.only[c.name] {
					c := &killedRun{at: c, home: home()}
					c.before, _ = readEntry(c.home)
					crimes = append(crimes, c)
				}
			}
			atOnce := 2
			if state.stopped {
				atOnce = len(crimes) // they wait for most of the time
			}
			forEach(t, atOnce, crimes, func(c *killedRun) error {
				done, err := f.runTraced(c.home, c.home, func(now call) fault { return fault{kill: now == c.at} })
				switch {
				case err != nil:
					return err
				case done.status.Signal() != syscall.SIGKILL:
					return fmt.Errorf("it was not reached: status %#x", done.status)
				case done.stdout != "": // it has printed what it had stored, and was about to keep a memo
					printed := done.exitResult
					printed.status = 0
					if now, _ := readEntry(c.home); bytes.Equal(now, c.before) {
						return errors.New("it had printed what it had not stored")
					}
					return errors.Join(f.checkSuccess(printed), f.checkNoSecrets(c.home))
				case done.stderr != "":
					return fmt.Errorf("it had already written %q", done.stderr)
				}
				return f.checkNoSecrets(c.home)
			})
			f.entra.ResetCounters()
			want := 0
			for _, c := range crimes {
				now, err := readEntry(c.home)
				if err != nil {
					t.Error(err)
				}
				if bytes.Equal(now, c.before) && (now == nil) == (c.before == nil) { // an empty file is no entry
					want++
				}
			}
			if want == 0 || want == len(crimes) && state.only == nil {
				t.Errorf("%d of %d were killed before they had stored the new entry", want, len(crimes))
			}
			forEach(t, atOnce, crimes, func(c *killedRun) error { return f.runWithoutFaults(c.home) })
			if got := f.entra.TokenRequests(); got != want {
				t.Errorf("the next runs asked %d times, want %d: one for each run that was killed before it had stored the new entry", got, want)
			}
			forEach(t, atOnce, crimes, func(c *killedRun) error {
				all, err := readCacheFiles(c.home)
				for name := range all {
					if strings.HasSuffix(name, ".lock2") && !state.stopped {
						err = errors.Join(err, errors.New("somebody lost patience with a dead process"))
					}
				}
				return err
			})
			t.Logf("%d killed, %d of them before the new entry was stored", len(crimes), want)
			for _, lock := range held {
				lock.Close()
			}
			forEach(t, 1, crimes, func(c *killedRun) error { return checkSweep(c.home) })
		})
	}
}

// holdLock is a lock file as a process holds it that was stopped: it is not touched any more.
func holdLock(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
