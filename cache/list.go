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

// Listing is what an entry says of itself to anybody who can read the file. Nobody has vouched for
// it: only opening the entry proves its head.
type Listing struct {
	Inputs  []string // "name=value", as given to Dir.Entry
	Kind    string
	Stored  time.Time
	Expires time.Time
}

// List returns what the entries say of themselves, in no promised order. Files that are no entries
// are passed over. An absent folder is an empty one; a folder that is not used (see Dir) is an
// error.
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

// eachFile calls f for every file in the folder that carries one of our names and belongs to us.
// suffix is entrySuffix, warmStartSuffix, a lock's, or tempSuffix.
func (d Dir) eachFile(f func(path, suffix string, fi fs.FileInfo)) error {
	if err := sealed.CheckDir(d.Path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	files, err := os.ReadDir(d.Path)
	for _, file := range files {
		suffix, ours := parseName(file.Name())
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

// parseName tells the files that this package makes by their names: 32 hexadecimal digits and a
// suffix.
func parseName(name string) (suffix string, ours bool) {
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
