package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// waitForBlocked waits until so many processes and goroutines wait for the lock at path.
func waitForBlocked(t *testing.T, path string, want int) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", fi.Sys().(*syscall.Stat_t).Ino)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		table, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for line := range strings.Lines(string(table)) {
			if strings.Contains(line, "->") && strings.Contains(line, inode) {
				got++
			}
		}
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait for the lock, want %d\n%s", got, want, table)
		}
	}
}

// If the directory is removed while waiters queue for a lock in it, they go on in a new directory,
// still one at a time.
func TestWaitersSurviveRemovedDir(t *testing.T) {
	const waiters = 20
	for name, remove := range map[string]func(Dir) error{
		"removed": func(d Dir) error { return os.RemoveAll(d.Path) },
		"renamed": func(d Dir) error { return os.Rename(d.Path, d.Path+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			d := Dir{Path: filepath.Join(t.TempDir(), "cache"), HolderTimeout: time.Hour}
			e := newEntry(t, d, "secret")
			unlock, err := e.Lock(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			var holders atomic.Int32
			done := make(chan error)
			for range waiters {
				go func() {
					unlock, err := e.Lock(t.Context(), true)
					if err == nil {
						if holders.Add(1) != 1 {
							err = errors.New("two hold the lock")
						}
						holders.Add(-1)
						unlock()
					}
					done <- err
				}()
			}
			waitForBlocked(t, e.path(".lock"), waiters)
			if err := remove(d); err != nil {
				t.Fatal(err)
			}
			unlock()
			for range waiters {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// writeWithTime writes an empty file with a modification time.
func writeWithTime(path string, t time.Time) error {
	return errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, t, t))
}

// Whatever is in the lock file's place is removed, or Lock fails. The entry is stored and read in
// both cases.
func TestUnusableLockFiles(t *testing.T) {
	holdForever := func(path string) error { // as another program could
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		t.Cleanup(func() { f.Close() })
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	setFailed := func(path string) error { return writeWithTime(path, holderFailedTime) }
	future := time.Now().AddDate(50, 0, 0)
	setFuture := func(path string) error { return writeWithTime(path, future) }
	for name, c := range map[string]struct {
		plant func(path string) error
		want  error // of Lock
	}{
		"directory":       {func(path string) error { return os.Mkdir(path, 0o700) }, nil},
		"full directory":  {func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) }, sealed.ErrNotALock},
		"link":            {func(path string) error { return os.Symlink("/dev/null", path) }, nil},
		"pipe":            {func(path string) error { return syscall.Mkfifo(path, 0o600) }, nil},
		"socket":          {func(path string) error { return syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0) }, nil},
		"held forever":    {holdForever, ErrHeld},
		"holder failed":   {setFailed, nil},
		"from the future": {setFuture, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cache")
			d := Dir{Path: path, HolderTimeout: 50 * time.Millisecond}
			if err := d.create(); err != nil {
				t.Fatal(err)
			}
			e := newEntry(t, d, "secret")
			for _, suffix := range lockSuffixes {
				if err := c.plant(e.path(suffix)); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				unlock, err := e.Lock(t.Context(), true)
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
				put(t, e, "data")
				if unlock != nil {
					unlock()
				}
				wantData(t, e, "data")
			}
		})
	}
}

// If the disk fills up during Put, the old entry stays, no part of the new one does, and waiters
// get ErrHolderFailed.
func TestFullDiskFailsWaiters(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	root := t.TempDir()
	if err := syscall.Mount("akslogin-test", root, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Skip("mounting failed: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(root, syscall.MNT_DETACH) })
	d := Dir{Path: filepath.Join(root, "cache"), HolderTimeout: time.Hour}
	e := newEntry(t, d, "secret")
	put(t, e, "data")
	unlock, err := e.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	waiter := make(chan error)
	go func() { _, err := e.Lock(t.Context(), true); waiter <- err }()
	waitForBlocked(t, e.path(".lock"), 1)
	if err := e.Put(make([]byte, 100<<10), "token", expires); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	unlock()
	if err := <-waiter; !errors.Is(err, ErrHolderFailed) {
		t.Errorf("the waiter got %v", err)
	}
	wantData(t, e, "data")
	if left, _ := filepath.Glob(filepath.Join(d.Path, "*"+tempSuffix)); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A holder shows that it is alive in a root file system without /proc too.
func TestHeartbeatNeedsNoProc(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	heartbeat := time.Unix(1e9, 0)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that this thread ends with its mounts
		err := syscall.Unshare(syscall.CLONE_NEWNS)
		if err == nil {
			err = syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		}
		if err == nil {
			err = syscall.Mount("akslogin-test", "/proc", "tmpfs", 0, "")
		}
		if err == nil {
			setModTime(f, heartbeat)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skip("mounting failed: ", err)
	}
	if got := modTime(f); !got.Equal(heartbeat) {
		t.Errorf("got %s, want %s", got, heartbeat)
	}
}
