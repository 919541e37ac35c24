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

// permissions returns a directory's permission bits.
func permissions(fi fs.FileInfo) fs.FileMode { return fi.Mode().Perm() }

// syncFile writes a file's content to the disk. Unlike (*os.File).Sync, it does not wait on macOS
// until the disk has emptied its own cache (F_FULLFSYNC): an entry that a power failure damages is
// a miss.
func syncFile(f *os.File) error { return syscall.Fsync(int(f.Fd())) }

// modTime returns the modification time of an open file, or the zero time. It does not go by the
// path, where another file may be.
func modTime(f *os.File) time.Time {
	fi, err := f.Stat()
	if err != nil {
		return time.Time{}
	}
	return fi.ModTime()
}

// removeHeld removes a lock file and then closes it, which frees its lock. So waiters see that the
// file is gone.
func removeHeld(f *os.File) error {
	defer f.Close()
	return os.Remove(f.Name())
}
