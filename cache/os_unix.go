//go:build unix

package cache

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ownerOnly tells whether nobody else can read a file.
func ownerOnly(fi fs.FileInfo) bool { return fi.Mode().Perm()&0o077 == 0 }

// setModTime sets a file's time of change; trouble with it is left.
func setModTime(f *os.File, t time.Time) {
	tv := syscall.NsecToTimeval(
		t.Truncate(time.Microsecond).UnixNano(),
	) // it would round up, into the future
	_ = syscall.Futimes(int(f.Fd()), []syscall.Timeval{tv, tv})
}

// removeHeld removes a lock file while its lock is held, so that who waits for it sees that it is
// gone, and closes it.
func removeHeld(f *os.File) error {
	defer f.Close()
	return os.Remove(f.Name())
}
