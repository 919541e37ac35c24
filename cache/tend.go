package cache

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

const (
	// sweptFile's time of change is when the folder was last swept.
	sweptFile  = "akslogin.swept"
	sweepEvery = 15 * time.Minute

	// leftover is the age from which a file that nobody seems to need is removed: a lock that is not held,
	// a temporary file of a process that was killed, an entry whose head cannot be read.
	leftover = 24 * time.Hour

	// maxMemos are as many as are left when a folder is swept, of those that are good and of those that are over; more have command lines that never come
	// again, and all of them go.
	maxMemos = 256
)

// Listing is what an entry says of itself to anybody who can read the file. Nobody has vouched for it:
// only opening the entry proves its head.
type Listing struct {
	Inputs  []string // "name=value", as given to Dir.Entry
	Holds   string
	Stored  time.Time
	Expires time.Time
}

// List returns what the entries say of themselves, in no promised order. Files that are no entries are passed
// over. An absent folder is an empty one; a folder that is not used (see Dir) is an error.
func (d Dir) List() ([]Listing, error) {
	var all []Listing
	err := d.each(func(path, suffix string, _ fs.FileInfo) {
		if suffix != entrySuffix {
			return
		}
		if h, err := readHeader(path); err == nil {
			all = append(all, Listing(h))
		}
	})
	return all, err
}

// Clear removes every entry and memo, and the locks and temporary files that nobody holds, and says how many entries there
// were. It touches no other file, so that a folder shared with other programs keeps theirs, and leaves the
// folder itself. An absent folder is no error.
func (d Dir) Clear() (entries int, err error) {
	var errs []error
	pass := func(memos bool) error {
		return d.each(func(path, suffix string, _ fs.FileInfo) {
			if (suffix == memoSuffix) != memos {
				return
			}
			remove := os.Remove
			if isLock(suffix) {
				remove = removeFree
			}
			switch err := remove(path); {
			case err == nil && suffix == entrySuffix:
				entries++
			case err != nil && (suffix == entrySuffix || suffix == memoSuffix) && !errors.Is(err, fs.ErrNotExist):
				errs = append(errs, err)
			}
		})
	}
	if err = pass(false); err == nil {
		err = pass(true) // after the entries: from one that is there yet a memo could be kept again
		os.Remove(filepath.Join(d.Path, sweptFile))
	}
	return entries, errors.Join(append(errs, err)...)
}

// sweepNowAndThen removes what has expired, at most once in sweepEvery for all processes together. Trouble is
// left for the next time: sweeping is a courtesy, not a promise.
func (d Dir) sweepNowAndThen(now time.Time) {
	marker := filepath.Join(d.Path, sweptFile)
	if fi, err := os.Lstat(marker); err == nil {
		if age := now.Sub(fi.ModTime()); age >= 0 && age < sweepEvery {
			return
		}
	}
	os.Remove(marker) // a new one each time: a link in its place would lead to another file
	f, err := os.OpenFile(marker, os.O_CREATE|os.O_EXCL|os.O_WRONLY|sealed.NoFollow, 0o600)
	if err != nil {
		return
	}
	setTime(f, now)
	f.Close()
	d.sweep(now)
}

func (d Dir) sweep(now time.Time) {
	var memos, over []string // still good, and not
	_ = d.each(func(path, suffix string, fi fs.FileInfo) {
		old := now.Sub(fi.ModTime()).Abs() > leftover // or from a time when the clock was ahead
		switch {
		case suffix == entrySuffix, suffix == memoSuffix:
			h, err := readHeader(path)
			switch expired := now.After(h.Expires); {
			case err != nil && old, err == nil && expired && suffix == entrySuffix, err == nil && now.After(h.Expires.Add(leftover)):
				os.Remove(path)
			case suffix == memoSuffix && expired: // where one is over, nobody waits for another: the token may be good still, and only due
				over = append(over, path)
			case suffix == memoSuffix:
				memos = append(memos, path)
			}
		case old && isLock(suffix):
			removeFree(path)
		case old:
			os.Remove(path)
		}
	})
	for _, too := range [][]string{memos, over} {
		if len(too) > maxMemos {
			for _, memo := range too {
				os.Remove(memo)
			}
		}
	}
}

// each calls f for every file in the folder that carries one of our names and belongs to us.
// suffix is entrySuffix, memoSuffix, a lock's, or tempSuffix.
func (d Dir) each(f func(path, suffix string, fi fs.FileInfo)) error {
	if err := sealed.CheckFolder(d.Path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	files, err := os.ReadDir(d.Path)
	for _, file := range files {
		suffix, ours := ourName(file.Name())
		if !ours {
			continue
		}
		fi, err := file.Info()
		if err != nil || !fi.Mode().IsRegular() {
			continue
		}
		f(filepath.Join(d.Path, file.Name()), suffix, fi)
	}
	return err
}

// ourName tells the files that this package makes by their names: 32 hexadecimal digits and a suffix.
func ourName(name string) (suffix string, ours bool) {
	id, rest, found := strings.Cut(name, ".")
	if raw, err := hex.DecodeString(id); !found || err != nil || len(raw) != 16 {
		return "", false
	}
	rest = "." + rest
	switch {
	case rest == entrySuffix, rest == memoSuffix, isLock(rest):
		return rest, true
	case strings.HasSuffix(rest, tempSuffix):
		return tempSuffix, true
	}
	return "", false
}

func readHeader(path string) (header, error) {
	raw, err := sealed.ReadOwn(path, sealed.MaxEntry)
	if err != nil {
		return header{}, err
	}
	head, err := sealed.Head(raw)
	if err != nil {
		return header{}, err
	}
	var h header
	return h, json.Unmarshal(head, &h)
}
