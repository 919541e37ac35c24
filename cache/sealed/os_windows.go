package sealed

import (
	"io/fs"
	"os"
	"path/filepath"
)

// NoFollow: Go opens the link's target here; a folder in the user's profile is writable by that user only.
const NoFollow = 0

// open opens a file to be read.
func open(path string, flags int) (*os.File, error) { return os.OpenFile(path, os.O_RDONLY|flags, 0) }

func isAbs(path string) bool { return filepath.IsAbs(path) }

// Private: the permission bits say nothing on Windows, where the profile's access list protects its folders. A folder elsewhere is used as it
// is; what others could do there is damage entries, which then miss.
func Private(fs.FileInfo) error { return nil }
