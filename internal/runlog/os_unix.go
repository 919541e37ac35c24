//go:build unix

package runlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	openNonblock = unix.O_NONBLOCK // opening a FIFO without a reader fails instead of blocking
	openNoFollow = unix.O_NOFOLLOW
)

// checkOwn returns nil for a character device, and for a file or FIFO that belongs to this user and
// has no other name.
func checkOwn(fi fs.FileInfo) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch user := os.Geteuid(); {
	case fi.Mode()&fs.ModeCharDevice != 0:
		return nil
	case !fi.Mode().IsRegular() && fi.Mode()&fs.ModeNamedPipe == 0:
		return errors.New("it is not a file, pipe or terminal")
	case ok && int(st.Uid) != user:
		return fmt.Errorf("it belongs to user %d, this process runs as user %d", st.Uid, user)
	case ok && st.Nlink > 1:
		return errors.New("it has more than one hard link, so it may be another file of this user")
	}
	return nil
}
