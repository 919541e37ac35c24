package cache

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// secret: as for sealed.Private.
func secret(fs.FileInfo) bool { return true }

// setTime sets a file's time of change; trouble with it is left.
func setTime(f *os.File, t time.Time) {
	ft := windows.NsecToFiletime(t.UnixNano())
	_ = windows.SetFileTime(windows.Handle(f.Fd()), nil, &ft, &ft)
}

// removeLocked closes a lock file and removes it, which fails when somebody else has opened it.
func removeLocked(f *os.File) error {
	f.Close()
	return os.Remove(f.Name())
}
