//go:build (solaris && !illumos) || aix

package sealed

import (
	"errors"
	"fmt"
	"os"
)

// Lock returns an error: locks of fcntl(2) belong to a process, and end when it closes any file
// descriptor of the file. Without locks, each process makes an exchange of its own.
func Lock(*os.File, bool) error {
	return fmt.Errorf("lock: %w: this system has no flock(2)", errors.ErrUnsupported)
}
