package cache

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// ownerOnly: as for sealed.Private.
func ownerOnly(fs.FileInfo) bool { return true }

// setModTime sets a file's time of change; trouble with it is left.
func setModTime(f *os.File, t time.Time) {
	ft := windows.NsecToFiletime(t.UnixNano())
	_ = windows.SetFileTime(windows.Handle(f.Fd()), nil, &ft, &ft)
}

// removeHeld closes a lock file and removes it, which fails when somebody else has opened it.
func removeHeld(f *os.File) error {
	f.Close()
	return os.Remove(f.Name())
}
