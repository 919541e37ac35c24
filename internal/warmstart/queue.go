package warmstart

import (
	"cmp"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// worthWaiting tells whether such a run will keep a memo, so that it is worth waiting for, as far
// as its words show: one that has something to say, proves a possession or logs in otherwise does
// not.
func worthWaiting(args []string, login string) bool {
	for _, arg := range args {
		if strings.HasPrefix(arg, "-v") || strings.HasPrefix(arg, "--v") ||
			strings.HasPrefix(arg, "--pop-enabled") {
			return false
		}
	}
	return cmp.Or(login, FlagValue(args, "--login", "-l"), workloadIdentity) == workloadIdentity
}

// waitForWriter waits for the process that is making this memo, and returns its answer. Where there
// is none it takes its turn, and others wait for this process. It saves the many that start at once
// the usual way; what is right rests on nothing here.
func (m *Run) waitForWriter(atMost time.Duration) (answer []byte) {
	began := time.Now()
	type taken struct {
		lock   *os.File
		held   bool // by another process before
		answer []byte
	}
	var late atomic.Bool
	got, inTime := withTimeout(atMost, func() (t taken) {
		f, err := sealed.OpenLock(m.box.Path(m.dir, sealed.LockSuffix))
		if err != nil { // as where there is no folder yet
			return t
		}
		switch err := sealed.Lock(f, false); {
		case err == nil:
			t.lock = f
		case errors.Is(err, sealed.ErrHeld):
			t.held = true
			_ = sealed.Lock(f, true)
			f.Close() // the others that wait need not wait for this one
		default:
			f.Close()
			return t
		}
		t.answer, _ = m.load(time.Now()) // it may have been made between our look and our turn too
		if t.lock != nil && (t.answer != nil || late.Load()) {
			removeLock(f)
			t.lock = nil
		}
		return t
	})
	late.Store(!inTime)
	m.lock = got.lock
	if got.held || !inTime {
		m.waitingSince = began
	}
	return got.answer
}

// ReleaseWaiters lets those who wait for this process's memo go on.
func (m *Run) ReleaseWaiters() {
	if m == nil || m.lock == nil {
		return
	}
	turn := m.lock
	m.lock = nil
	withTimeout(diskTimeout, func() error { return removeLock(turn) })
}

// TimeWaited is how long ago this process began to wait for another one that was making the same
// memo; 0: it did not.
func (m *Run) TimeWaited() time.Duration {
	if m == nil || m.waitingSince.IsZero() {
		return 0
	}
	return time.Since(m.waitingSince)
}

func removeLock(turn *os.File) error {
	if runtime.GOOS == "windows" { // where no open file is removed
		turn.Close()
	}
	defer turn.Close()
	return os.Remove(turn.Name())
}

const maxWait = 2 * time.Second // likewise a process that makes the memo
