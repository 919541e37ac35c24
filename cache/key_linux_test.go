package cache

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// An attacker who can write above the key's directory swaps it with a symbolic link, and back, as
// often as possible. The link leads to the key of another program.
func TestKeyDirSwappedForALink(t *testing.T) {
	above, other := t.TempDir(), newOtherFile(t, "key", "secret key of a VPN")
	dir, link := filepath.Join(above, "akslogin"), filepath.Join(above, "link")
	mkdir(t, dir, 0o700)
	// With other permissions it would not be used as a Dir.
	if err := os.Chmod(filepath.Dir(other.path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(other.path), link); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	stopped := make(chan int)
	go func() {
		const cwd, exchange = unix.AT_FDCWD, unix.RENAME_EXCHANGE
		swaps := 0
		for !stop.Load() && unix.Renameat2(cwd, dir, cwd, link, exchange) == nil {
			swaps++
		}
		stopped <- swaps
	}()
	got := 0
	for range 5000 {
		if key, err := noDir.Key(filepath.Join(dir, "key")); err == nil {
			got++
			if len(key) != keySize {
				t.Errorf("%q is no key", key)
			}
		}
		// Remove the key, so that the next call makes one.
		for _, at := range []string{dir, link} {
			if fi, err := os.Lstat(at); err == nil && fi.IsDir() {
				if f, err := os.OpenFile(at, unix.O_NOFOLLOW|unix.O_DIRECTORY, 0); err == nil {
					unix.Unlinkat(int(f.Fd()), "key", 0)
					f.Close()
				}
			}
		}
		if _, err := os.Lstat(other.path); err != nil {
			break
		}
	}
	stop.Store(true)
	if swaps := <-stopped; swaps < 100 {
		t.Skipf("only %d swaps", swaps)
	}
	other.wantUntouched(t)
	if files, err := os.ReadDir(filepath.Dir(other.path)); err != nil || len(files) != 1 {
		t.Errorf("beside the other key: %v, %v", files, err)
	}
	t.Logf("%d of 5000 calls got a key", got)
}
