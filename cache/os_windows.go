package cache

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ownerOnly returns true, for the reasons of sealed.CheckPrivate.
func ownerOnly(fs.FileInfo) bool { return true }

// setModTime sets a file's modification time. It ignores errors.
func setModTime(f *os.File, t time.Time) {
	ft := syscall.NsecToFiletime(t.UnixNano())
	_ = syscall.SetFileTime(syscall.Handle(f.Fd()), nil, &ft, &ft)
}

// modTime returns the modification time of an open file, or the zero time. It goes by the path,
// which is the file's as long as the file is open. Windows serializes the calls on a handle like
// Go's, and a waiter has one that waits for the lock: a second call would not return before that.
func modTime(f *os.File) time.Time {
	fi, err := os.Stat(f.Name())
	if err != nil {
		return time.Time{}
	}
	return fi.ModTime()
}

// removeHeld closes a lock file and removes it. Removing fails if another process has it open.
func removeHeld(f *os.File) error {
	f.Close()
	return os.Remove(f.Name())
}
