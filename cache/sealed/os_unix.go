//go:build unix

package sealed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// NoFollow refuses a link in the file's place, and does not wait for the other end of a pipe.
const NoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// openForReading opens a file to be read, without Go's poller: that costs a start some system
// calls, and the whole program where no more files can be opened.
func openForReading(path string, flags int) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|flags, 0)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		case flags&syscall.O_NONBLOCK != 0:
			_ = syscall.SetNonblock(fd, false) // it was for opening only
		}
		return os.NewFile(uintptr(fd), path), nil
	}
}

// IsAbs is path/filepath's, without what that imports.
func IsAbs(path string) bool { return path != "" && os.IsPathSeparator(path[0]) }

// CheckPrivate says why a file or folder is not this user's alone to write to; nil when it is.
func CheckPrivate(fi fs.FileInfo) error {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf(
			"it belongs to user %d, this process runs as user %d",
			st.Uid,
			os.Geteuid(),
		)
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others can write to it (mode %04o)", fi.Mode().Perm())
	}
	return nil
}

// hasOneLink tells whether it is a regular file under one name only: a second could be another file
// of this user's.
func hasOneLink(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return fi.Mode().IsRegular() && (!ok || st.Nlink <= 1)
}

// Lock takes an advisory lock that ends with the open file. Without wait it returns ErrHeld at
// once.
func Lock(f *os.File, wait bool) error {
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	for {
		err := syscall.Flock(int(f.Fd()), how)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrHeld
		}
		return err
	}
}
