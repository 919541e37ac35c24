package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestLockIsExclusive(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret")
	unlock, err := e.Lock(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Lock(t.Context(), false); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v, want ErrHeld", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() { _, err := e.Lock(ctx, true); waiting <- err }()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	second := make(chan func())
	go func() { u, _ := e.Lock(t.Context(), true); second <- u }()
	unlock()
	if u := <-second; u == nil {
		t.Error("the waiter got no lock")
	} else {
		u()
	}
}

// Removing the lock file during a wait must not lead to two holders, each of its own file.
func TestLockFileRemovedWhileWaiting(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed")
	}
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret")
	first, err := e.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan func())
	go func() { u, _ := e.Lock(t.Context(), true); got <- u }()
	os.Remove(e.path(".lock"))
	first()
	u := <-got
	if u == nil {
		t.Fatal("no lock")
	}
	defer u()
	if _, err := e.Lock(t.Context(), false); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v; the waiter holds a file that nobody else sees", err)
	}
}

func TestLockFailsWithoutDir(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	e := newEntry(t, Dir{Path: filepath.Join(file, "cache")}, "secret")
	if _, err := e.Lock(t.Context(), true); err == nil {
		t.Error("got a lock below a file")
	}
}
