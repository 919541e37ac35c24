//go:build unix && !linux && !solaris && !aix

package cache

import (
	"os"
	"syscall"
	"time"
)

// setModTime sets a file's modification time. It ignores errors.
func setModTime(f *os.File, t time.Time) {
	// NsecToTimeval rounds up, into the future.
	tv := syscall.NsecToTimeval(t.Truncate(time.Microsecond).UnixNano())
	_ = syscall.Futimes(int(f.Fd()), []syscall.Timeval{tv, tv})
}
