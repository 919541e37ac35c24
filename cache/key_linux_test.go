package cache

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Somebody who can write above the key's folder changes it for a link, and back, as often as he
// can. Where the link leads there is a key too, which is another program's.
func TestKeyDirSwappedForALink(t *testing.T) {
	above, theirs := t.TempDir(), newOtherFile(t, "key", "secret key of a VPN")
	folder, link := filepath.Join(above, "akslogin"), filepath.Join(above, "link")
	mkdir(t, folder, 0o700)
	if err := os.Chmod(filepath.Dir(theirs.path), 0o700); err != nil { // or it would not do as a folder
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(theirs.path), link); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	stopped := make(chan int)
	go func() {
		swaps := 0
		for ; !stop.Load() && unix.Renameat2(unix.AT_FDCWD, folder, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) == nil; swaps++ {
		}
		stopped <- swaps
	}()
	got := 0
	for range 5000 {
		if key, err := noDir.Key(filepath.Join(folder, "key")); err == nil {
			got++
			if len(key) != keySize {
				t.Errorf("%q is no key", key)
			}
		}
		// The next one has to be made again.
		for _, at := range []string{folder, link} {
			if fi, err := os.Lstat(at); err == nil && fi.IsDir() {
				if dir, err := os.OpenFile(at, unix.O_NOFOLLOW|unix.O_DIRECTORY, 0); err == nil {
					unix.Unlinkat(int(dir.Fd()), "key", 0)
					dir.Close()
				}
			}
		}
		if _, err := os.Lstat(theirs.path); err != nil {
			break
		}
	}
	stop.Store(true)
	if swaps := <-stopped; swaps < 100 {
		t.Skipf("the file system swapped %d times only", swaps)
	}
	theirs.wantUntouched(t)
	if files, err := os.ReadDir(filepath.Dir(theirs.path)); err != nil || len(files) != 1 {
		t.Errorf("beside it there is %v, %v", files, err)
	}
	t.Logf("%d of 5000 got a key", got)
}
