package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// awaitBlocked waits until so many wait for a lock.
func awaitBlocked(t *testing.T, path string, want int) {
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

// When the folder is removed while a queue waits in it, the queue stays one: in a new folder, if the holder has not made it again.
func TestQueueOutlivesItsFolder(t *testing.T) {
	const queue = 20
	for name, remove := range map[string]func(Dir) error{
		"removed": func(d Dir) error { return os.RemoveAll(d.Path) },
		"renamed": func(d Dir) error { return os.Rename(d.Path, d.Path+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			d := Dir{Path: filepath.Join(t.TempDir(), "cache"), Patience: time.Hour}
			e := newEntry(t, d, "secret")
			unlock, err := e.Lock(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			var holders atomic.Int32
			done := make(chan error)
			for range queue {
				go func() {
					unlock, err := e.Lock(t.Context(), true)
					if err == nil {
						if holders.Add(1) != 1 {
							err = errors.New("two hold it")
						}
						holders.Add(-1)
						unlock()
					}
					done <- err
				}()
			}
			awaitBlocked(t, e.path(".lock"), queue)
			if err := remove(d); err != nil {
				t.Fatal(err)
			}
			unlock()
			for range queue {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
	}
}
