//go:build unix

package runlog

import "golang.org/x/sys/unix"

// Opening a FIFO without a reader fails instead of blocking.
const openNonblock = unix.O_NONBLOCK
