//go:build unix && (!solaris || illumos) && !aix

package sealed

import (
	"errors"
	"os"
	"syscall"
)

// Lock takes an advisory lock, which is freed when f is closed. If another open file holds it, Lock
// waits, or without wait returns ErrHeld at once.
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
