package cache

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keySize is that of a key for AES-256.
const keySize = 32

// Key returns the user's own key in the file at path, for sealing what no secret belongs to. Where there is none it makes the file, with
// mode 0600, and its folder, with 0700: processes that do so at once get the same key. A file that is no key, or that others could read,
// is replaced by a new one. A link, somebody else's file, a folder that is not used (see Dir) and a file in d, where it would lie beside
// what it seals, are errors.
func (d Dir) Key(path string) ([]byte, error) {
	home := Dir{Path: filepath.Dir(path)}
	for range rounds {
		if err := home.make(); err != nil {
			return nil, err
		}
		if d.contains(home.Path) {
			return nil, fmt.Errorf("the key %s would be in the cache folder that it seals", path)
		}
		key, err := readKey(path)
		if !errors.Is(err, errNoKey) && !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
		if errors.Is(err, errNoKey) {
			os.Remove(path)
		}
		if err := makeKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the key %s does not stay where it is", path)
}

// contains tells whether a folder that is there is d or below it, by whatever names.
func (d Dir) contains(folder string) bool {
	ours, err := os.Stat(d.Path)
	if err != nil { // what is not there holds nothing; it may be made, though
		rel, err := filepath.Rel(d.Path, folder)
		return err == nil && filepath.IsLocal(rel)
	}
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		folder = real
	}
	for {
		if theirs, err := os.Stat(folder); err == nil && os.SameFile(ours, theirs) {
			return true
		}
		up := filepath.Dir(folder)
		if up == folder {
			return false
		}
		folder = up
	}
}

var errNoKey = errors.New("it is not a key")

func readKey(path string) ([]byte, error) {
	key, err := readOwn(path, maxEntry)
	if err != nil {
		return nil, err
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if len(key) != keySize || !secret(fi) {
		return nil, fmt.Errorf("%s: %w", path, errNoKey)
	}
	return key, nil
}

// makeKey puts a new key at path, whole, unless there is something: then its error is fs.ErrExist.
func makeKey(path string) error {
	key := make([]byte, keySize)
	rand.Read(key) // it does not fail
	temp, err := write(path, key)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, path); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(temp, path) // a file system without links: of two processes one reads the other's key at the next time
}
