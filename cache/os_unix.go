//go:build unix

package cache

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ownerOnly reports whether nobody but the owner has any access to a file.
func ownerOnly(fi fs.FileInfo) bool { return fi.Mode().Perm()&0o077 == 0 }

// setModTime sets a file's modification time. It ignores errors.
func setModTime(f *os.File, t time.Time) {
	// NsecToTimeval rounds up, into the future.
	tv := syscall.NsecToTimeval(t.Truncate(time.Microsecond).UnixNano())
	_ = syscall.Futimes(int(f.Fd()), []syscall.Timeval{tv, tv})
}

// removeHeld removes a lock file and then closes it, which frees its lock. So waiters see that the
// file is gone.
func removeHeld(f *os.File) error {
	defer f.Close()
	return os.Remove(f.Name())
}
