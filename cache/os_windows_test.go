package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var ntSuspendProcess = syscall.NewLazyDLL("ntdll.dll").NewProc("NtSuspendProcess")

// stopProcess suspends a process.
func stopProcess(p *os.Process) (err error) {
	handleErr := p.WithHandle(func(process uintptr) {
		if status, _, _ := ntSuspendProcess.Call(process); status != 0 {
			err = fmt.Errorf("NtSuspendProcess: status %#x", status)
		}
	})
	if err == nil {
		err = handleErr
	}
	return err
}

// While a handle waits for a lock, Windows lets no other call use it, so a waiter must see the
// holder's heartbeats without its handle. Wine lets calls through: there a closed handle stands for
// one that waits.
func TestModTimeNeedsNoHandle(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	heartbeat := time.Unix(1e9, 0)
	setModTime(f, heartbeat)
	f.Close()
	if got := modTime(f); !got.Equal(heartbeat) {
		t.Errorf("got %s, want %s", got, heartbeat)
	}
}

// A file that another process has open for a moment can be removed after that. A missing one is not
// waited for.
func TestClearWaitsForReaders(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret")
	put(t, e, "data")
	reader, err := os.Open(e.path(entrySuffix))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(e.path(entrySuffix)); err == nil {
		t.Fatal("a file that is open was removed")
	}
	time.AfterFunc(50*time.Millisecond, func() { reader.Close() })
	if n, err := d.Clear(); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	calls := 0
	err = retryBusy(time.Now().Add(time.Hour), func() error {
		calls++
		return os.Remove(e.path(entrySuffix))
	})
	if !errors.Is(err, fs.ErrNotExist) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
