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

// removeHeld closes a lock file and removes it. Removing fails if another process has it open.
func removeHeld(f *os.File) error {
	f.Close()
	return os.Remove(f.Name())
}
