package cache

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// ErrHeld reports that another process holds the lock.
var ErrHeld = sealed.ErrHeld

// ErrHolderFailed reports that the lock holder for which Lock waited could not store its result.
// Waiting in this directory is of no use.
var ErrHolderFailed = errors.New("the process that held the lock could not store its result")

// lockSuffixes name the locks of an entry. The second is a fallback for when the holder of the
// first hangs: its waiters queue for the second one, so that still only one process works at a
// time.
var lockSuffixes = []string{sealed.LockSuffix, ".lock2"}

func isLockSuffix(suffix string) bool { return slices.Contains(lockSuffixes, suffix) }

const (
	defaultHolderTimeout = 5 * time.Second
	heartbeats           = 5 // of a holder during the holder timeout
)

// maxAttempts is how often an operation is tried while other processes remove its file or
// directory.
const maxAttempts = 10

// Lock takes the entry's lock. If another process holds it, Lock waits, or without wait returns
// ErrHeld at once. unlock frees the lock; further calls do nothing. When a holder dies, the kernel
// frees its lock at once.
//
// A lock holder regularly sets the lock file's modification time, its heartbeat. One without a
// heartbeat for Dir.HolderTimeout is skipped: Lock then takes the entry's second lock instead, and
// if the holder of that one is skipped too, it returns ErrHeld.
//
// Lock returns ErrHolderFailed if the last Put of the holder failed, and ctx's error if ctx ends
// first. After a skip or ctx's end, a thread and a descriptor go on waiting until the holder ends.
// Any other error says why locking is impossible here.
//
// The lock saves work. Correctness must not depend on it: a skipped holder may go on.
func (e *Entry) Lock(ctx context.Context, wait bool) (unlock func(), err error) {
	for _, suffix := range lockSuffixes {
		unlock, err = e.lockFile(ctx, e.path(suffix), wait)
		if !wait || !errors.Is(err, ErrHeld) {
			break
		}
	}
	return unlock, err
}

func (e *Entry) lockFile(ctx context.Context, path string, wait bool) (unlock func(), err error) {
	for range maxAttempts {
		var f *os.File
		err := e.dir.inDir(func() (err error) {
			f, err = e.dir.acquire(ctx, path, wait)
			return err
		})
		// Removing a link in the lock file's place leaves the file to which it leads.
		if errors.Is(err, sealed.ErrNotALock) && os.Remove(path) == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil && wait {
			f.Close()
			return nil, err
		}
		if !isFileAt(f, path) { // removed during the wait: others lock a newer file
			f.Close()
			continue
		}
		stopHeartbeat := e.dir.startHeartbeat(f)
		return sync.OnceFunc(func() {
			stopHeartbeat()
			if e.putFailed.Load() {
				setModTime(f, holderFailedTime)
			}
			f.Close() // frees the lock
		}), nil
	}
	return nil, errors.New("other processes keep replacing or removing the lock file")
}

// holderFailedTime is the modification time of the lock file if the holder could not store its
// result. Setting it works on a full disk too.
var holderFailedTime = time.Unix(1, 0)

// acquire opens the lock file and takes its lock.
func (d Dir) acquire(ctx context.Context, path string, wait bool) (*os.File, error) {
	f, err := sealed.OpenLock(path)
	if err != nil {
		return nil, err
	}
	err = sealed.Lock(f, false)
	if !wait || !errors.Is(err, ErrHeld) {
		if err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	locked := make(chan error, 1)
	go func() { locked <- sealed.Lock(f, true) }()
	select {
	case err = <-locked:
		if err == nil && modTime(f).Equal(holderFailedTime) {
			err = ErrHolderFailed
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-d.holderSilent(ctx, f):
		err = ErrHeld
	}
	// flock cannot be canceled. The lock is freed as soon as it is taken.
	go func() { <-locked; f.Close() }()
	return nil, err
}

// holderSilent returns a channel that is closed when the lock file has had no heartbeat for the
// holder timeout. It counts ticks of this process and not time, since a process that was suspended
// itself has not seen the heartbeats.
func (d Dir) holderSilent(ctx context.Context, f *os.File) <-chan struct{} {
	silent := make(chan struct{})
	go func() {
		ticker := time.NewTicker(d.holderTimeout() / heartbeats)
		defer ticker.Stop()
		last := modTime(f)
		for missed := 0; missed < heartbeats; missed++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if t := modTime(f); !t.Equal(last) {
				last, missed = t, -1
			}
		}
		close(silent)
	}()
	return silent
}

// startHeartbeat sets the lock file's modification time now and at intervals until stop is called.
// It uses the open file, since another one may be at its path.
func (d Dir) startHeartbeat(f *os.File) (stop func()) {
	setModTime(f, time.Now())
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(d.holderTimeout() / heartbeats)
		defer ticker.Stop()
		for {
			select {
			case <-stopping:
				return
			case <-ticker.C:
				setModTime(f, time.Now())
			}
		}
	}()
	return func() { close(stopping); <-stopped }
}

func (d Dir) holderTimeout() time.Duration {
	if d.HolderTimeout > 0 {
		return d.HolderTimeout
	}
	return defaultHolderTimeout
}

func isFileAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	atPath, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, atPath)
}

// removeUnheld removes a lock file that nobody holds. A waiter notices and opens the next one.
func removeUnheld(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|sealed.NoFollow, 0)
	if err != nil {
		return err
	}
	if err := sealed.Lock(f, false); err != nil {
		f.Close()
		return err
	}
	return removeHeld(f)
}
