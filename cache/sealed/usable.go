package sealed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Usable returns nil if entries can be stored in the directory: it is one that CheckDir accepts and
// this process can write to it, or it can be created. Otherwise the error says why not.
func Usable(path string) error {
	err := CheckDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = CheckCreate(path); err == nil {
			err = checkWritable(NearestExisting(path))
		}
		return err
	}
	if err == nil {
		err = checkWritable(path)
	}
	return err
}

// CheckCreate returns nil if the directory, which does not exist, may be created in the nearest
// existing one. A directory in the home of another user is refused: it would be private to this
// user, so that the other one could not use it. A directory of root's, or one that everybody can
// write to, is nobody's home.
func CheckCreate(path string) error {
	parent := NearestExisting(path)
	fi, err := os.Stat(parent)
	if err != nil {
		return err
	}
	if err := checkHost(fi); err != nil {
		return fmt.Errorf("folder %s is not created: %s: %w", path, parent, err)
	}
	return nil
}

// NearestExisting returns path, or the nearest directory above it that exists.
func NearestExisting(path string) string {
	for {
		parent := parentDir(path)
		if _, err := os.Stat(path); err == nil || parent == path {
			return path
		}
		path = parent
	}
}
