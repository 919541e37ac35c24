package sealed

import (
	"errors"
	"os"
)

// LockSuffix ends the names of lock files.
const LockSuffix = ".lock"

// ErrHeld reports that another process or another open file holds the lock.
var ErrHeld = errors.New("another process holds the lock")

// ErrNotALock reports that the file in the lock file's place is not one that OpenLock made.
var ErrNotALock = errors.New("the lock file is a link, or not a regular file")

// OpenLock opens a lock file, and creates it with mode 0600 if there is none. The lock holder
// changes the file's modification time, so a link to another file is refused with ErrNotALock.
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
