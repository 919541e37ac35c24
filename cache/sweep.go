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
	// sweepMarker is a file whose modification time is when the directory was last swept.
	sweepMarker   = "akslogin.swept"
	sweepInterval = 15 * time.Minute

	// orphanAge is the age from which sweeping removes files that no process needs any more: locks
	// that are not held, temporary files of killed processes, entries with an unreadable header.
	orphanAge = 24 * time.Hour

	// maxWarmStarts is how many warm start files sweeping leaves, once of the live and once of the
	// expired ones. If there are more, the command lines change from run to run, and sweeping
	// removes all.
	maxWarmStarts = 256
)

// Clear removes all entries and warm start files, and the locks and temporary files that no process
// holds. It returns how many entries it removed. It removes no other file, since other programs may
// share the directory, and not the directory itself. If there is no directory, there is no error.
func (d Dir) Clear() (entries int, err error) {
	var errs []error
	deadline := time.Now().Add(busyTimeout) // for all files together
	remove := func(warmStarts bool) error {
		return d.eachFile(func(path, suffix string, _ fs.FileInfo) {
			if (suffix == warmStartSuffix) != warmStarts {
				return
			}
			if isLockSuffix(suffix) {
				removeUnheld(path)
				return
			}
			err := retryBusy(deadline, func() error { return os.Remove(path) })
			switch {
			case err == nil && suffix == entrySuffix:
				entries++
			case err != nil && suffix != tempSuffix && !errors.Is(err, fs.ErrNotExist):
				errs = append(errs, err)
			}
		})
	}
	// Warm start files go last: while its entry is there, one could be stored again.
	if err = remove(false); err == nil {
		err = remove(true)
		os.Remove(filepath.Join(d.Path, sweepMarker))
	}
	return entries, errors.Join(append(errs, err)...)
}

// sweepIfDue removes expired files, at most once in sweepInterval for all processes together. It
// ignores errors: the next sweep tries again.
func (d Dir) sweepIfDue(now time.Time) {
	marker := filepath.Join(d.Path, sweepMarker)
	if fi, err := os.Lstat(marker); err == nil {
		if age := now.Sub(fi.ModTime()); age >= 0 && age < sweepInterval {
			return
		}
	}
	os.Remove(marker) // a link in its place could lead to another file
	f, err := os.OpenFile(marker, os.O_CREATE|os.O_EXCL|os.O_WRONLY|sealed.NoFollow, 0o600)
	if err != nil {
		return
	}
	setModTime(f, now)
	f.Close()
	d.sweep(now)
}

func (d Dir) sweep(now time.Time) {
	var liveWarmStarts, expiredWarmStarts []string
	_ = d.eachFile(func(path, suffix string, fi fs.FileInfo) {
		// A file from the future is from a time when the clock was ahead.
		orphaned := now.Sub(fi.ModTime()).Abs() > orphanAge
		switch {
		case suffix == entrySuffix, suffix == warmStartSuffix:
			h, err := readHeader(path)
			expired := now.After(h.Expires)
			switch {
			case err != nil && orphaned,
				err == nil && expired && suffix == entrySuffix,
				err == nil && now.After(h.Expires.Add(orphanAge)):
				os.Remove(path)
			case suffix == entrySuffix:
			// An expired answer stays for a day: while it is there, runs do not wait for each
			// other to store a new one. Its token may still be valid.
			case expired:
				expiredWarmStarts = append(expiredWarmStarts, path)
			default:
				liveWarmStarts = append(liveWarmStarts, path)
			}
		case orphaned && isLockSuffix(suffix):
			removeUnheld(path)
		case orphaned:
			os.Remove(path)
		}
	})
	for _, paths := range [][]string{liveWarmStarts, expiredWarmStarts} {
		if len(paths) <= maxWarmStarts {
			continue
		}
		for _, path := range paths {
			os.Remove(path)
		}
	}
}
