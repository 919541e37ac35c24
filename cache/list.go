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

// Listing is the header of an entry. It is not authenticated: only Entry.Get proves that a header
// is genuine.
type Listing struct {
	Inputs  []string // "name=value", as given to Dir.Entry
	Kind    string   // as given to Entry.Put
	Stored  time.Time
	Expires time.Time
}

// List returns the headers of all entries, expired ones too, in no particular order. It skips files
// that are not entries. If there is no directory, there are no entries and no error.
func (d Dir) List() ([]Listing, error) {
	var all []Listing
	err := d.eachFile(func(path, suffix string, _ fs.FileInfo) {
		if suffix != entrySuffix {
			return
		}
		if h, err := readHeader(path); err == nil {
			all = append(all, Listing(h))
		}
	})
	return all, err
}

// eachFile calls f for every regular file in the directory whose name is one that this package
// gives. suffix is entrySuffix, warmStartSuffix, one of lockSuffixes, or tempSuffix.
func (d Dir) eachFile(f func(path, suffix string, fi fs.FileInfo)) error {
	if err := sealed.CheckDir(d.Path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	files, err := os.ReadDir(d.Path)
	for _, file := range files {
		suffix, ok := parseName(file.Name())
		if !ok {
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

// parseName returns the suffix of a file's name. ok reports whether it is a name that this package
// gives: 32 hexadecimal digits and a suffix.
func parseName(name string) (suffix string, ok bool) {
	id, rest, found := strings.Cut(name, ".")
	if raw, err := hex.DecodeString(id); !found || err != nil || len(raw) != 16 {
		return "", false
	}
	rest = "." + rest
	switch {
	case rest == entrySuffix, rest == warmStartSuffix, isLockSuffix(rest):
		return rest, true
	case strings.HasSuffix(rest, tempSuffix):
		return tempSuffix, true
	}
	return "", false
}

func readHeader(path string) (header, error) {
	raw, err := sealed.ReadPrivate(path, sealed.MaxEntrySize)
	if err != nil {
		return header{}, err
	}
	head, err := sealed.Header(raw)
	if err != nil {
		return header{}, err
	}
	var h header
	return h, json.Unmarshal(head, &h)
}
