//go:build solaris || aix

package cache

import (
	"os"
	"time"
)

// setModTime sets a file's modification time. It ignores errors. Package syscall can do so only by
// the path here, where another file may be.
func setModTime(f *os.File, t time.Time) {
	if isFileAt(f, f.Name()) {
		_ = os.Chtimes(f.Name(), t, t)
	}
}
