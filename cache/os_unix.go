//go:build unix

package cache

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// secret tells whether nobody else can read a file.
func secret(fi fs.FileInfo) bool { return fi.Mode().Perm()&0o077 == 0 }

// single tells whether it is a regular file under one name only: a second could be another file of this user's.
func single(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return fi.Mode().IsRegular() && (!ok || st.Nlink <= 1)
}

// setTime sets a file's time of change; trouble with it is left.
func setTime(f *os.File, t time.Time) {
	tv := syscall.NsecToTimeval(t.Truncate(time.Microsecond).UnixNano()) // it would round up, into the future
	_ = syscall.Futimes(int(f.Fd()), []syscall.Timeval{tv, tv})
}

// removeLocked removes a lock file while its lock is held, so that who waits for it sees that it is gone, and closes it.
func removeLocked(f *os.File) error {
	defer f.Close()
	return os.Remove(f.Name())
}

// lockFile takes an advisory lock that ends with the open file. Without wait it returns ErrHeld at once.
func lockFile(f *os.File, wait bool) error {
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
