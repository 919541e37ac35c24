package cache

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/akslogin/akslogin/cache/sealed"
)

// keySize is that of a key for AES-256.
const keySize = 32

// Key returns the user's own key in the file at path, for sealing what no secret belongs to. Where
// there is none it makes the file, with mode 0600, and its folder, with 0700: processes that do so
// at once get the same key. A file that is no key, or that others could read, is replaced by a new
// one. A link, somebody else's file, a folder that is not used (see Dir) and a file in d, where it
// would lie beside what it seals, are errors.
func (d Dir) Key(path string) ([]byte, error) {
	home, name := Dir{Path: filepath.Dir(path)}, filepath.Base(path)
	for range maxAttempts {
		if err := home.create(); err != nil {
			return nil, err
		}
		if d.contains(home.Path) {
			return nil, fmt.Errorf("the key %s would be in the cache folder that it seals", path)
		}
		key, err := home.readOrMakeKey(name)
		if !errors.Is(err, errNotAKey) {
			return key, err
		}
	}
	return nil, fmt.Errorf("the key %s does not stay where it is", path)
}

// readOrMakeKey is what readKey finds in the folder; where that is no key, a new one takes its
// place and errNotAKey is returned. Another file may have such a name too, so nothing is done by
// the folder's path: whoever can write above it could make that lead elsewhere meanwhile.
func (d Dir) readOrMakeKey(name string) ([]byte, error) {
	folder, err := d.openRoot()
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	key, err := readKey(folder, name)
	if errors.Is(err, fs.ErrNotExist) {
		err = errNotAKey
	} else if errors.Is(err, errNotAKey) {
		folder.Remove(name)
	}
	if errors.Is(err, errNotAKey) {
		if err := makeKey(folder, name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return key, err
}

// openRoot is the folder itself, whatever its path leads to from now on.
func (d Dir) openRoot() (*os.Root, error) {
	folder, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, err
	}
	fi, err := folder.Stat(".")
	if err == nil {
		err = sealed.CheckPrivate(fi)
	}
	if there, statErr := os.Lstat(
		d.Path,
	); err == nil &&
		(statErr != nil || !os.SameFile(there, fi)) {
		err = errors.New("another folder has taken its place")
	}
	if err != nil {
		folder.Close()
		return nil, fmt.Errorf("folder %s: %w", d.Path, err)
	}
	return folder, nil
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

var errNotAKey = errors.New("it is not a key")

func readKey(folder *os.Root, name string) ([]byte, error) {
	f, err := folder.OpenFile(name, os.O_RDONLY|sealed.NoFollow, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	key, err := sealed.ReadOpenFile(f, sealed.MaxEntrySize, sealed.CheckPrivate)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if there, err := folder.Lstat(name); err != nil || !os.SameFile(there, fi) {
		return nil, fmt.Errorf("%s is a link, or does not stay what it is", f.Name())
	}
	if len(key) != keySize || !ownerOnly(fi) {
		return nil, fmt.Errorf("%s: %w", f.Name(), errNotAKey)
	}
	return key, nil
}

// makeKey puts a new key into the folder, whole, unless there is something: then its error is
// fs.ErrExist.
func makeKey(folder *os.Root, name string) error {
	key := make([]byte, keySize)
	rand.Read(key) // it does not fail
	temp := name + "." + rand.Text() + tempSuffix
	f, err := folder.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY|sealed.NoFollow, 0o600)
	if err != nil {
		return err
	}
	defer folder.Remove(temp)
	if err := writeAndClose(f, key, true); err != nil {
		return err
	}
	if err := folder.Link(temp, name); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return folder.Rename(
		temp,
		name,
	) // a file system without links: of two processes one reads the other's key at the next time
}
