package cache

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestMain makes the test binary a lock holder if $CACHE_TEST_HOLD names a directory.
func TestMain(m *testing.M) {
	if path := os.Getenv("CACHE_TEST_HOLD"); path != "" {
		timeout, _ := time.ParseDuration(os.Getenv("CACHE_TEST_HOLDER_TIMEOUT"))
		e, err := Dir{Path: path, HolderTimeout: timeout}.Entry([]byte("secret"))
		if err == nil {
			_, err = e.Lock(context.Background(), false)
		}
		fmt.Println(err)
		select {}
	}
	os.Exit(m.Run())
}

// startHolder starts a process that holds the lock of the entry with the secret "secret".
func startHolder(t *testing.T, d Dir) *os.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(),
		"CACHE_TEST_HOLD="+d.Path, "CACHE_TEST_HOLDER_TIMEOUT="+d.HolderTimeout.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "<nil>\n" {
		t.Fatalf("the holder says %q", line)
	}
	return cmd.Process
}

func TestKilledHolderFreesTheLock(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), HolderTimeout: time.Hour}
	p := startHolder(t, d)
	e := newEntry(t, d, "secret")
	if _, err := e.Lock(t.Context(), false); !errors.Is(err, ErrHeld) {
		t.Fatalf("got %v, want ErrHeld", err)
	}
	p.Kill()
	unlock, err := e.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestStoppedHolderIsSkipped(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), HolderTimeout: 200 * time.Millisecond}
	p := startHolder(t, d)
	if err := stopProcess(p); err != nil {
		t.Fatal(err)
	}
	e := newEntry(t, d, "secret")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	unlock, err := e.Lock(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	// Waiters that skipped the holder still work one at a time, and wait for a live holder.
	second := make(chan error)
	go func() {
		u, err := e.Lock(ctx, true)
		if err == nil {
			u()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("two hold a lock: %v", err)
	case <-time.After(5 * d.HolderTimeout):
	}
	unlock()
	if err := <-second; err != nil {
		t.Fatal(err)
	}
}

func TestLiveHolderIsWaitedFor(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), HolderTimeout: time.Second}
	startHolder(t, d)
	e := newEntry(t, d, "secret")
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { _, err := e.Lock(ctx, true); got <- err }()
	select {
	case err := <-got:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(2 * d.HolderTimeout):
	}
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}
