package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

const (
	// sweepMarker's time of change is when the folder was last swept.
	sweepMarker   = "akslogin.swept"
	sweepInterval = 15 * time.Minute

	// orphanAge is the age from which a file that nobody seems to need is removed: a lock that is
	// not held, a temporary file of a process that was killed, an entry whose head cannot be read.
	orphanAge = 24 * time.Hour

	// maxWarmStarts are as many as are left when a folder is swept, of those that are good and of
	// those that are over; more have command lines that never come again, and all of them go.
	maxWarmStarts = 256
)

// Clear removes every entry and memo, and the locks and temporary files that nobody holds, and says
// how many entries there were. It touches no other file, so that a folder shared with other
// programs keeps theirs, and leaves the folder itself. An absent folder is no error.
func (d Dir) Clear() (entries int, err error) {
	var errs []error
	pass := func(memos bool) error {
		return d.eachFile(func(path, suffix string, _ fs.FileInfo) {
			if (suffix == warmStartSuffix) != memos {
				return
			}
			remove := os.Remove
			if isLockSuffix(suffix) {
				remove = removeUnheld
			}
			switch err := remove(path); {
			case err == nil && suffix == entrySuffix:
				entries++
			case err != nil && (suffix == entrySuffix || suffix == warmStartSuffix) && !errors.Is(err, fs.ErrNotExist):
				errs = append(errs, err)
			}
		})
	}
	if err = pass(false); err == nil {
		err = pass(true) // after the entries: from one that is there yet a memo could be kept again
		os.Remove(filepath.Join(d.Path, sweepMarker))
	}
	return entries, errors.Join(append(errs, err)...)
}

// sweepIfDue removes what has expired, at most once in sweepInterval for all processes together.
// Trouble is left for the next time: sweeping is a courtesy, not a promise.
func (d Dir) sweepIfDue(now time.Time) {
	marker := filepath.Join(d.Path, sweepMarker)
	if fi, err := os.Lstat(marker); err == nil {
		if age := now.Sub(fi.ModTime()); age >= 0 && age < sweepInterval {
			return
		}
	}
	os.Remove(marker) // a new one each time: a link in its place would lead to another file
	f, err := os.OpenFile(marker, os.O_CREATE|os.O_EXCL|os.O_WRONLY|sealed.NoFollow, 0o600)
	if err != nil {
		return
	}
	setModTime(f, now)
	f.Close()
	d.sweep(now)
}

func (d Dir) sweep(now time.Time) {
	var memos, over []string // still good, and not
	_ = d.eachFile(func(path, suffix string, fi fs.FileInfo) {
		old := now.Sub(fi.ModTime()).Abs() > orphanAge // or from a time when the clock was ahead
		switch {
		case suffix == entrySuffix, suffix == warmStartSuffix:
			h, err := readHeader(path)
			switch expired := now.After(h.Expires); {
			case err != nil && old,
				err == nil && expired && suffix == entrySuffix,
				err == nil && now.After(h.Expires.Add(orphanAge)):
				os.Remove(path)
			case suffix == warmStartSuffix && expired: // where one is over, nobody waits for another: the token may be good still, and only due
				over = append(over, path)
			case suffix == warmStartSuffix:
				memos = append(memos, path)
			}
		case old && isLockSuffix(suffix):
			removeUnheld(path)
		case old:
			os.Remove(path)
		}
	})
	for _, too := range [][]string{memos, over} {
		if len(too) > maxWarmStarts {
			for _, memo := range too {
				os.Remove(memo)
			}
		}
	}
}
