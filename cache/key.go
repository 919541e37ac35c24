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

// keySize is the size of an AES-256 key in bytes.
const keySize = 32

// Key returns the user's own key, which is stored in the file at path. It serves as the secret of
// entries for logins that present none. It has 32 random bytes.
//
// If there is no key, Key creates the file with mode 0600 and its directory with mode 0700. All
// processes that do so at once get the same key. A file that is no key, or that others can read, is
// replaced by a new key. It is an error if the file is a link, belongs to another user, or is in a
// directory that is not used (see [Dir]). A path in d is an error too: the key would be beside the
// entries that it seals.
func (d Dir) Key(path string) ([]byte, error) {
	keyDir, name := Dir{Path: filepath.Dir(path)}, filepath.Base(path)
	for range maxAttempts {
		if err := keyDir.create(); err != nil {
			return nil, err
		}
		if d.contains(keyDir.Path) {
			return nil, fmt.Errorf("the key %s would be in the cache folder that it encrypts", path)
		}
		key, err := keyDir.readOrMakeKey(name)
		if !errors.Is(err, errNotAKey) {
			return key, err
		}
	}
	return nil, fmt.Errorf("other processes keep replacing or removing the key %s", path)
}

// readOrMakeKey returns the key in the file with that name. If there is none, it makes a new key
// and returns errNotAKey, so that the caller reads the key that all processes see. It uses no
// paths: a user who can write to a directory above this one could meanwhile make the path lead to
// another program's key.
func (d Dir) readOrMakeKey(name string) ([]byte, error) {
	root, err := d.openRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	key, err := readKey(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		err = errNotAKey
	} else if errors.Is(err, errNotAKey) {
		root.Remove(name)
	}
	if errors.Is(err, errNotAKey) {
		if err := makeKey(root, name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return key, err
}

// openRoot opens the directory. The result stays this directory, whatever its path leads to later.
func (d Dir) openRoot() (*os.Root, error) {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil {
		err = sealed.CheckPrivate(opened)
	}
	atPath, statErr := os.Lstat(d.Path)
	if err == nil && (statErr != nil || !os.SameFile(atPath, opened)) {
		err = errors.New("another folder has replaced it")
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("folder %s: %w", d.Path, err)
	}
	return root, nil
}

// contains reports whether dir, which exists, is d or below it, under whatever name.
func (d Dir) contains(dir string) bool {
	own, err := os.Stat(d.Path)
	if err != nil { // d contains nothing yet, but may be created
		rel, err := filepath.Rel(d.Path, dir)
		return err == nil && filepath.IsLocal(rel)
	}
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	for {
		if fi, err := os.Stat(dir); err == nil && os.SameFile(own, fi) {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

var errNotAKey = errors.New("it is not a key")

// readKey returns the key, or errNotAKey if the file is no key or others can read it.
func readKey(root *os.Root, name string) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|sealed.NoFollow, 0)
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
	if atPath, err := root.Lstat(name); err != nil || !os.SameFile(atPath, fi) {
		return nil, fmt.Errorf("%s is a link, or was replaced while it was read", f.Name())
	}
	if len(key) != keySize || !ownerOnly(fi) {
		return nil, fmt.Errorf("%s: %w", f.Name(), errNotAKey)
	}
	return key, nil
}

// makeKey stores a new key in one step. If there is a file with that name, the error is
// fs.ErrExist.
func makeKey(root *os.Root, name string) error {
	key := make([]byte, keySize)
	rand.Read(key) // never fails
	temp := name + "." + rand.Text() + tempSuffix
	f, err := root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY|sealed.NoFollow, 0o600)
	if err != nil {
		return err
	}
	defer root.Remove(temp)
	if err := writeAndClose(f, key, true); err != nil {
		return err
	}
	if err := root.Link(temp, name); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// The file system has no hard links. If two processes get here, one replaces the other's key,
	// and both read the remaining key at their next attempt.
	return root.Rename(temp, name)
}
