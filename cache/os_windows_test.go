package cache

import (
	"fmt"
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
