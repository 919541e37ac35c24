//go:build unix

package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// noFollow refuses a link in the file's place, and does not wait for the other end of a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// open opens a file to be read, without Go's poller: that costs a start some system calls, and the whole program where no more files can be opened.
func open(path string, flags int) (*os.File, error) {
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

// Room is how many more files this process can open, counted up to most.
func Room(most int) (room int) {
	for ; room < most; room++ {
		fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 0)
		if errors.Is(err, unix.EMFILE) {
			return room
		}
		if err == nil {
			defer unix.Close(fd)
		}
	}
	return room
}

// private says why a file or folder is not this user's alone to write to; nil when it is.
func private(fi fs.FileInfo) error {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to user %d, this process runs as user %d", st.Uid, os.Geteuid())
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others can write to it (mode %04o)", fi.Mode().Perm())
	}
	return nil
}

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
