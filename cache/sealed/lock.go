package sealed

import (
	"errors"
	"os"
)

// LockSuffix ends the names of lock files.
const LockSuffix = ".lock"

// ErrHeld says that somebody else holds a lock.
var ErrHeld = errors.New("another process holds the lock")

// ErrNotALock says that what stands under a lock's name is not a lock of ours.
var ErrNotALock = errors.New("a link or something else stands in the lock file's place")

// OpenLock opens a lock file, or makes it. Its holder may touch it, so it must not be another file
// of this user's, whose links lead here.
func OpenLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|NoFollow, 0o600)
	if err != nil {
		if fi, statErr := os.Lstat(path); statErr == nil && !hasOneLink(fi) {
			err = ErrNotALock
		}
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !hasOneLink(fi) {
		err = ErrNotALock
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
