package cache

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// secret: as for sealed.Private.
func secret(fs.FileInfo) bool { return true }

// single: whoever can make links in a folder of the profile is this user.
func single(fi fs.FileInfo) bool { return fi.Mode().IsRegular() }

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

// lockFile takes a lock that ends with the open file. Without wait it returns ErrHeld at once.
func lockFile(f *os.File, wait bool) error {
	how := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK)
	if !wait {
		how |= windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, math.MaxUint32, math.MaxUint32, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrHeld
	}
	return err
}
