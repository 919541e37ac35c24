//go:build unix

package runlog

import (
	"golang.org/x/sys/unix"
)

// openNonblock opens a pipe that nobody reads with an error, and not when somebody does.
const openNonblock = unix.O_NONBLOCK
