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

// ErrHeld says that somebody else holds the lock, or did until patience ended.
var ErrHeld = sealed.ErrHeld

// ErrHolderFailed says that who held the lock could not store what he did there: there is nothing
// to wait for in this folder.
var ErrHolderFailed = errors.New("the process that held the lock could not store its result")

// lockSuffixes name the locks of an entry. The second is for the day on which the first one's
// holder was stopped: whoever lost patience with it queues there, so that still one at a time
// works.
var lockSuffixes = []string{sealed.LockSuffix, ".lock2"}

func isLockSuffix(suffix string) bool { return slices.Contains(lockSuffixes, suffix) }

const (
	defaultHolderTimeout = 5 * time.Second
	heartbeats           = 5 // how often in that time a holder shows life
)

// maxAttempts bounds how often something is done anew because its file or folder was removed
// meanwhile.
const maxAttempts = 10

// Lock waits until nobody else holds the entry's lock and takes it; unlock gives it back, once. A
// holder shows that he is alive by touching the lock file; one that shows no sign of life for
// Dir.Patience is passed by. When he dies the kernel frees his lock at once.
//
// With wait false it does not wait and returns ErrHeld where it would have to. It also returns
// ErrHeld when no lock could be had with patience, ErrHolderFailed when waiting turned out to be of
// no use, and ctx's error when that ends first: then a thread and a descriptor go on waiting until
// the holder ends. Any other error says why locking is impossible here. It is not for mutual
// exclusion that correctness rests on: it saves work.
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
		if errors.Is(err, sealed.ErrNotALock) &&
			os.Remove(path) == nil { // it makes way: only its name goes
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil && wait { // it came too late
			f.Close()
			return nil, err
		}
		if !isFileAt(f, path) { // swept or cleared while we waited: others lock a newer file
			f.Close()
			continue
		}
		stop := e.dir.heartbeat(f)
		return sync.OnceFunc(func() {
			stop()
			if e.putFailed.Load() {
				setModTime(f, holderFailedTime)
			}
			f.Close() // frees the lock
		}), nil
	}
	return nil, errors.New("the lock file does not stay where it is")
}

// holderFailedTime is the time that a holder leaves on the lock file when he could not store his
// result: that works on a full disk too.
var holderFailedTime = time.Unix(1, 0)

// acquire returns the open and locked file.
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
	ctx, done := context.WithCancel(ctx)
	defer done()
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
	// The kernel cannot be told to stop waiting; the lock goes back the moment it comes.
	go func() { <-locked; f.Close() }()
	return nil, err
}

// holderSilent is closed when the lock file has not been touched for as long as patience lasts. It
// is counted in ticks of this process and not in time: one that was suspended itself has not been
// watching.
func (d Dir) holderSilent(ctx context.Context, f *os.File) <-chan struct{} {
	silent := make(chan struct{})
	go func() {
		tick := time.NewTicker(d.holderTimeout() / heartbeats)
		defer tick.Stop()
		seen := modTime(f)
		for quiet := 0; quiet < heartbeats; quiet++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if t := modTime(f); !t.Equal(seen) {
				seen, quiet = t, -1
			}
		}
		close(silent)
	}()
	return silent
}

// heartbeat touches the lock file now and at intervals until stop is called. It does so by the open
// file: another may stand at its path by now.
func (d Dir) heartbeat(f *os.File) (stop func()) {
	setModTime(f, time.Now())
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(d.holderTimeout() / heartbeats)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				setModTime(f, time.Now())
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (d Dir) holderTimeout() time.Duration {
	if d.HolderTimeout > 0 {
		return d.HolderTimeout
	}
	return defaultHolderTimeout
}

func modTime(f *os.File) time.Time {
	fi, err := f.Stat()
	if err != nil {
		return time.Time{}
	}
	return fi.ModTime()
}

func isFileAt(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(ours, there)
}

// removeUnheld removes a lock file that nobody holds. Who waits for it notices and opens the next
// one.
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
