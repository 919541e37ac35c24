package warmstart

import (
	"cmp"
	"errors"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// maxWait is the longest wait for the run that is about to store the answer.
const maxWait = 2 * time.Second

// worthWaiting reports whether a run with these arguments is likely to store its answer, so that
// others gain by waiting for it. It returns false for a run with -v, with a proof of possession,
// with a federated token from a variable, or with another login method than workload identity.
// login is $AAD_LOGIN_METHOD and pop is $AAD_IS_POP_TOKEN_ENABLED, which override the flags.
func worthWaiting(args []string, login, pop string) bool {
	if pop != "" {
		return false
	}
	for _, arg := range args {
		if strings.HasPrefix(arg, "-v") || strings.HasPrefix(arg, "--v") ||
			strings.HasPrefix(arg, "--pop-enabled") ||
			strings.HasPrefix(arg, "--federated-token-env") {
			return false
		}
	}
	// Only the first of several logins in order is considered.
	login, _, _ = strings.Cut(cmp.Or(login, FlagValue(args, "--login", "-l"), workloadIdentity), ",")
	return login == workloadIdentity
}

// waitForWriter waits for the process that is about to store this answer, the writer, and returns
// the answer. If there is none, this process becomes the writer until ReleaseWaiters. Then, after a
// timeout, and if the writer stored nothing, the answer is nil. Nothing depends on the lock: it
// saves many concurrent runs the normal path.
func (r *Run) waitForWriter(timeout time.Duration) (answer []byte) {
	start := time.Now()
	type lockResult struct {
		lock   *os.File // nil if this process is not the writer
		waited bool     // another process held the lock
		answer []byte
	}
	result, inTime := withTimeout(timeout, func(timer *time.Timer) (l lockResult) {
		f, err := sealed.OpenLock(r.box.Path(r.dir, sealed.LockSuffix))
		if err != nil { // for one, there is no cache directory yet
			return l
		}
		switch err := sealed.Lock(f, false); {
		case err == nil:
			l.lock = f
		case errors.Is(err, sealed.ErrHeld):
			l.waited = true
			_ = sealed.Lock(f, true)
			f.Close() // the other waiters need not wait for this one
		default:
			f.Close()
			return l
		}
		l.answer, _ = r.load(time.Now()) // may have been stored since the first load
		if l.lock != nil && (l.answer != nil || !timer.Stop()) {
			removeLock(f)
			l.lock = nil
		}
		return l
	})
	r.lock = result.lock
	if result.waited || !inTime {
		r.waitingSince = start
	}
	return result.answer
}

// ReleaseWaiters gives up the writer's lock, so that the runs that wait for this one's answer go
// on. They find the answer that Save stored, or take the normal path. It does nothing the second
// time, and returns after three seconds at most.
func (r *Run) ReleaseWaiters() {
	if r == nil || r.lock == nil {
		return
	}
	lock := r.lock
	r.lock = nil
	withTimeout(diskTimeout, func(*time.Timer) error { return removeLock(lock) })
}

// TimeWaited returns how long ago this process began to wait for another writer, 0 if it did not.
func (r *Run) TimeWaited() time.Duration {
	if r == nil || r.waitingSince.IsZero() {
		return 0
	}
	return time.Since(r.waitingSince)
}

// removeLock removes the lock file and then frees its lock, so that waiters see that the file is
// gone.
func removeLock(lock *os.File) error {
	if runtime.GOOS == "windows" { // where an open file cannot be removed
		lock.Close()
	}
	defer lock.Close()
	return os.Remove(lock.Name())
}
