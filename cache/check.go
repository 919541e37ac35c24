package cache

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/akslogin/akslogin/cache/sealed"
)

// State is what Examine finds.
type State struct {
	Absent     bool        // there is no folder yet; it can be made
	Mode       fs.FileMode // the folder's permissions
	Entries    int         // of this version, by their heads
	Expired    int         // of Entries; they are swept
	Unreadable int         // files by an entry's name that are none of this version
	LocksHeld  int         // locks that a process holds now
}

// Check tells how the folder is, and tries whether an entry could be stored: an error says why not.
// It leaves nothing behind. A lock that nobody holds is taken for a moment.
func (d Dir) Check() (State, error) {
	var s State
	err := sealed.CheckDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		s.Absent = true
		return s, probeWrite(nearestExisting(d.Path))
	}
	if err != nil {
		return s, err
	}
	if fi, err := os.Lstat(d.Path); err == nil {
		s.Mode = fi.Mode().Perm()
	}
	err = d.eachFile(func(path, suffix string, _ fs.FileInfo) {
		switch {
		case isLockSuffix(suffix) && isHeld(path):
			s.LocksHeld++
		case suffix == entrySuffix:
			h, err := readHeader(path)
			switch {
			case err != nil:
				s.Unreadable++
			case d.now().After(h.Expires):
				s.Expired++
				fallthrough
			default:
				s.Entries++
			}
		}
	})
	if err != nil {
		return s, err
	}
	return s, probeWrite(d.Path)
}

// nearestExisting is the folder itself, or the nearest above it that is there.
func nearestExisting(folder string) string {
	for {
		up := filepath.Dir(folder)
		if _, err := os.Stat(folder); err == nil || up == folder {
			return folder
		}
		folder = up
	}
}

// probeName is a name as entries have them, so that a file of a process that was killed is swept.
const probeName = "00000000000000000000000000000000"

// probeWrite makes a file of an entry's size in folder, and removes it.
func probeWrite(folder string) error {
	temp, err := writeTemp(
		filepath.Join(folder, probeName),
		bytes.Repeat([]byte("akslogin\n"), 1<<10),
		true,
	)
	if err != nil {
		return err
	}
	return os.Remove(temp)
}

func isHeld(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR|sealed.NoFollow, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(sealed.Lock(f, false), ErrHeld)
}
