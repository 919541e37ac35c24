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
	Absent  bool        // there is no folder yet; it can be made
	Mode    fs.FileMode // the folder's permissions
	Entries int         // of this version, by their heads
	Expired int         // of Entries; they are swept
	Other   int         // files by an entry's name that are none of this version
	Held    int         // locks that a process holds now
}

// Examine tells how the folder is, and tries whether an entry could be stored: an error says why not. It leaves nothing behind. A lock
// that nobody holds is taken for a moment.
func (d Dir) Examine() (State, error) {
	var s State
	err := sealed.CheckFolder(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		s.Absent = true
		return s, tryWriting(existing(d.Path))
	}
	if err != nil {
		return s, err
	}
	if fi, err := os.Lstat(d.Path); err == nil {
		s.Mode = fi.Mode().Perm()
	}
	err = d.each(func(path, suffix string, _ fs.FileInfo) {
		switch {
		case isLock(suffix) && held(path):
			s.Held++
		case suffix == entrySuffix:
			h, err := readHeader(path)
			switch {
			case err != nil:
				s.Other++
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
	return s, tryWriting(d.Path)
}

// existing is the folder itself, or the nearest above it that is there.
func existing(folder string) string {
	for {
		up := filepath.Dir(folder)
		if _, err := os.Stat(folder); err == nil || up == folder {
			return folder
		}
		folder = up
	}
}

// trial is a name as entries have them, so that a file of a process that was killed is swept.
const trial = "00000000000000000000000000000000"

// tryWriting makes a file of an entry's size in folder, and removes it.
func tryWriting(folder string) error {
	temp, err := write(filepath.Join(folder, trial), bytes.Repeat([]byte("akslogin\n"), 1<<10), true)
	if err != nil {
		return err
	}
	return os.Remove(temp)
}

func held(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR|sealed.NoFollow, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(sealed.Lock(f, false), ErrHeld)
}
