package cache

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// noFollow: Go opens the link's target here; a folder in the user's profile is writable by that user only.
const noFollow = 0

// open opens a file to be read.
func open(path string, flags int) (*os.File, error) { return os.OpenFile(path, os.O_RDONLY|flags, 0) }

// Room: there is no such limit here.
func Room(most int) int { return most }

// private: the permission bits say nothing on Windows, where the profile's access list protects its folders. A folder elsewhere is used as it
// is; what others could do there is damage entries, which then miss.
func private(fs.FileInfo) error { return nil }

// secret: as for private.
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

// KeepOffDisk: Go tells Windows not to report its crashes, unless somebody sets GOTRACEBACK=wer.
func KeepOffDisk() {}
