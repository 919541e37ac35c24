package cache

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/akslogin/akslogin/cache/sealed"
)

// State describes a Dir.
type State struct {
	Absent     bool        // there is no directory yet
	Mode       fs.FileMode // the directory's permission bits; 0 on Windows, which has none
	Entries    int         // entries of this version, judged by their headers
	Expired    int         // expired ones among Entries
	Unreadable int         // files with an entry's name that are not entries of this version
	LocksHeld  int         // locks that a process holds now
}

// Check returns the state of the directory and probes whether an entry can be stored: if not, the
// error says why. It leaves no files behind. To count the locks, it takes each free one for a
// moment: an Entry.Lock without wait may return ErrHeld meanwhile.
func (d Dir) Check() (State, error) {
	var s State
	err := sealed.CheckDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		s.Absent = true
		if err := sealed.CheckCreate(d.Path); err != nil {
			return s, err
		}
		return s, probeWrite(sealed.NearestExisting(d.Path))
	}
	if err != nil {
		return s, err
	}
	if fi, err := os.Lstat(d.Path); err == nil {
		s.Mode = permissions(fi)
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

// probeName has the form of an entry's name, so that sweeping removes the file of a process that
// was killed.
const probeName = "00000000000000000000000000000000"

// probeWrite creates a file of an entry's size in dir, and removes it.
func probeWrite(dir string) error {
	content := bytes.Repeat([]byte("akslogin\n"), 1<<10)
	temp, err := writeTemp(filepath.Join(dir, probeName), content, true)
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
