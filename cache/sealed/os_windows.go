package sealed

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// NoFollow: Go opens the link's target here; a folder in the user's profile is writable by that
// user only.
const NoFollow = 0

// openForReading opens a file to be read.
func openForReading(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|flags, 0)
}

// IsAbs is path/filepath's.
func IsAbs(path string) bool { return filepath.IsAbs(path) }

// CheckPrivate: the permission bits say nothing on Windows, where the profile's access list
// protects its folders. A folder elsewhere is used as it is; what others could do there is damage
// entries, which then miss.
func CheckPrivate(fs.FileInfo) error { return nil }

// hasOneLink: whoever can make links in a folder of the profile is this user.
func hasOneLink(fi fs.FileInfo) bool { return fi.Mode().IsRegular() }

// Lock takes a lock that ends with the open file. Without wait it returns ErrHeld at once.
func Lock(f *os.File, wait bool) error {
	how := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK)
	if !wait {
		how |= windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	err := windows.LockFileEx(
		windows.Handle(f.Fd()),
		how,
		0,
		math.MaxUint32,
		math.MaxUint32,
		new(windows.Overlapped),
	)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrHeld
	}
	return err
}
