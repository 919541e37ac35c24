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

// killedRun is a run that is killed before a system call.
type killedRun struct {
	at     call
	home   string
	before []byte // the entry before the run
}

func (r *killedRun) String() string { return "killed at " + r.at.String() }

// hasStored reports whether the run has stored a new entry.
func (r *killedRun) hasStored(t *testing.T) bool {
	t.Helper()
	now, err := readEntry(r.home)
	if err != nil {
		t.Error(err)
	}
	// nil means no entry, which is not an empty file.
	return !bytes.Equal(now, r.before) || (now == nil) != (r.before == nil)
}

// TestKilledAtEverySystemCall checks that a login killed at any system call on the disk leaves the
// whole old entry or the whole new one, and that the next login uses it and waits for nobody.
func TestKilledAtEverySystemCall(t *testing.T) {
	skipIfShort(t, "a run for each system call")
	f := newFaultTest(t)
	stale := f.staleCache()
	lock := ""
	for name := range stale {
		if strings.HasSuffix(name, ".lock") {
			lock = name
		}
	}
	for name, test := range map[string]killTest{
		"no folder": {},
		"stale":     {files: stale, only: modifyingCalls},
		"stopped holder": {
			files: map[string][]byte{lock: nil}, stoppedHolderOf: lock, only: modifyingCalls,
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.faultTest = f
			test.t = t
			test.run(t)
		})
	}
}

// killTest kills a login at each system call, starting from the same cache.
type killTest struct {
	faultTest
	files           map[string][]byte // the cache
	stoppedHolderOf string            // a lock file whose holder shows no sign of life
	only            map[string]bool   // the calls to kill the login at; nil: all
}

func (k *killTest) run(t *testing.T) {
	var locks []*os.File
	newHome := func() string {
		home, err := k.newHome(k.files)
		if err != nil {
			t.Fatal(err)
		}
		if k.stoppedHolderOf != "" {
			lock := holdLock(t, filepath.Join(cacheDir(home), k.stoppedHolderOf))
			locks = append(locks, lock)
		}
		return home
	}
	var runs []*killedRun
	first := newHome()
	for _, c := range k.traceCalls(first, first) {
		if k.only == nil || k.only[c.name] {
			r := &killedRun{at: c, home: newHome()}
			r.before, _ = readEntry(r.home)
			runs = append(runs, r)
		}
	}
	parallel := 2
	if k.stoppedHolderOf != "" {
		parallel = len(runs) // they wait most of the time
	}
	forEach(t, parallel, runs, k.kill)
	k.entra.ResetCounters()
	want := 0 // runs that were killed before they stored the new entry
	for _, r := range runs {
		if !r.hasStored(t) {
			want++
		}
	}
	if want == 0 || want == len(runs) && k.only == nil {
		t.Errorf("%d of %d were killed before they stored the new entry", want, len(runs))
	}
	forEach(t, parallel, runs, func(r *killedRun) error { return k.runWithoutFaults(r.home) })
	if got := k.entra.TokenRequests(); got != want {
		t.Errorf("the next runs sent %d token requests, want %d: one for each run that was killed "+
			"before it stored the new entry", got, want)
	}
	forEach(t, parallel, runs, func(r *killedRun) error {
		all, err := readCacheFiles(r.home)
		for name := range all {
			if strings.HasSuffix(name, ".lock2") && k.stoppedHolderOf == "" {
				err = errors.Join(err, errors.New("the next run waited for a dead lock holder"))
			}
		}
		return err
	})
	t.Logf("%d killed, %d of them before the new entry was stored", len(runs), want)
	for _, lock := range locks {
		lock.Close()
	}
	forEach(t, 1, runs, func(r *killedRun) error { return checkSweep(r.home) })
}

// kill runs a login and kills it at its call. What the login has printed by then must be stored:
// only the warm-start entry is written after the output.
func (k *killTest) kill(r *killedRun) error {
	result, err := k.runTraced(r.home, r.home, func(c call) fault {
		if c == r.at {
			return fault{signal: syscall.SIGKILL}
		}
		return fault{}
	})
	switch {
	case err != nil:
		return err
	case result.status.Signal() != syscall.SIGKILL:
		return fmt.Errorf("not killed: status %#x", result.status)
	case result.stdout != "":
		printed := result.exitResult
		printed.status = 0
		now, _ := readEntry(r.home)
		if bytes.Equal(now, r.before) {
			return errors.New("it printed a token that it had not stored")
		}
		return errors.Join(k.checkSuccess(printed), k.checkNoSecrets(r.home))
	case result.stderr != "":
		return fmt.Errorf("stderr %q", result.stderr)
	}
	return k.checkNoSecrets(r.home)
}

// holdLock locks a file as a stopped lock holder does: without refreshing its modification time.
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
