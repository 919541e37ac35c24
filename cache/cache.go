// Package cache keeps sealed entries on disk, one file an entry, and the locks that let one process work
// while others wait. It knows bytes, not tokens.
//
// An entry's name and its key are both derived from a secret that the caller presents elsewhere anyway
// and from every input that decides the content. Who has the folder without the secret can neither open
// an entry nor tell which one would be his.
package cache

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adrg/xdg"
	"github.com/rogpeppe/go-internal/robustio"
)

// ErrMiss says that there is nothing to be had from an entry: it is absent, was sealed with another secret
// or other inputs, or is damaged. Errors that wrap it say which, for a log.
var ErrMiss = errors.New("no such cache entry")

const (
	// magic opens every entry. A change of layout changes the number in it and in salt, so that older entries miss.
	magic = "akslogin cache entry 1\n"
	salt  = "akslogin cache 1"

	entrySuffix = ".sealed"
	memoSuffix  = ".memo"
	tempSuffix  = ".tmp"

	maxEntry = 2 << 20 // twice the largest answer that is read from Entra ID
)

// Folder is the folder that somebody named: ~ is the home folder, which no shell resolves in a kubeconfig, and a relative path is from where the
// process runs. Where nobody named one it is the user's cache folder's own for this program. A path that cannot be resolved stays as it is; then it is not used.
func Folder(named string) string {
	if named == "" {
		return filepath.Join(xdg.CacheHome, "akslogin")
	}
	return Absolute(named)
}

// Absolute resolves a path that a person wrote. What cannot be resolved stays as it is.
func Absolute(path string) string {
	if rest, found := strings.CutPrefix(path, "~"); found && (rest == "" || os.IsPathSeparator(rest[0])) {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// Dir is a folder of entries. It is made, with mode 0700, when something is first stored in it.
// A folder that is a link, somebody else's or writable by others is not used: every call says so and does nothing.
type Dir struct {
	Path     string           // absolute
	Now      func() time.Time // nil: time.Now
	Patience time.Duration    // how long a lock's holder may show no sign of life; 0: five seconds
}

// Entry is one sealed file in a Dir and the lock beside it. It is safe for use by many processes at once.
type Entry struct {
	dir    Dir
	name   string
	suffix string
	inputs []string // that stand in the file
	seal   func() (cipher.AEAD, error)

	unstored atomic.Bool // a Put failed
}

// Entry returns the entry that belongs to secret and inputs, whether it exists or not; nothing is read yet.
// Inputs are "name=value" and stand readable in the file (see List), so they must hold nothing secret.
// Their order counts. Equal arguments give the same entry, any difference gives another.
func (d Dir) Entry(secret []byte, inputs ...string) (*Entry, error) {
	// RFC 5869: one extraction from the secret, then an expansion for each use.
	prk, err := hkdf.Extract(sha256.New, secret, []byte(salt))
	if err != nil {
		return nil, err
	}
	name, err := hkdf.Expand(sha256.New, prk, info("name", inputs), 16)
	if err != nil {
		return nil, err
	}
	seal := sync.OnceValues(func() (cipher.AEAD, error) {
		key, err := hkdf.Expand(sha256.New, prk, info("key", inputs), 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCMWithRandomNonce(block)
	})
	return &Entry{dir: d, name: hex.EncodeToString(name), suffix: entrySuffix, inputs: inputs, seal: seal}, nil
}

// Is tells whether both are the same entry of the same folder.
func (e *Entry) Is(other *Entry) bool { return e.path(e.suffix) == other.path(other.suffix) }

// Memo is [Dir.Entry] for what saves some work and is worth no more: it is not synced to the disk, does not say of itself what belongs to it, so
// that inputs may be anything, and is not counted.
func (d Dir) Memo(secret []byte, inputs ...string) (*Entry, error) {
	e, err := d.Entry(secret, append([]string{"memo"}, inputs...)...)
	if err == nil {
		e.suffix, e.inputs = memoSuffix, nil
	}
	return e, err
}

// info is the context of an expansion. Each part carries its length, so that no two lists of inputs read alike.
func info(use string, inputs []string) string {
	b := append([]byte(use), 0)
	for _, in := range inputs {
		b = binary.BigEndian.AppendUint32(b, uint32(len(in)))
		b = append(b, in...)
	}
	return string(b)
}

// header stands readable at the head of an entry and is authenticated with it (the AEAD's additional data).
type header struct {
	Inputs  []string  `json:"inputs"`
	Holds   string    `json:"holds"`
	Stored  time.Time `json:"stored"`
	Expires time.Time `json:"expires"`
}

// Get returns what was last stored. Every error wraps ErrMiss; nothing is changed on disk.
func (e *Entry) Get() ([]byte, error) {
	if err := e.dir.check(); err != nil {
		return nil, miss(err)
	}
	raw, err := readOwn(e.path(e.suffix), maxEntry)
	if err != nil {
		return nil, miss(err)
	}
	head, sealed, err := split(raw)
	if err != nil {
		return nil, miss(err)
	}
	aead, err := e.seal()
	if err != nil {
		return nil, miss(err)
	}
	data, err := aead.Open(nil, nil, sealed, head)
	if err != nil {
		return nil, miss(errors.New("damaged, or not sealed with this secret"))
	}
	return data, nil
}

// Put seals data and replaces the entry in one step: a reader sees the old content or the new, also when this
// process is killed half-way. holds is a word for List ("token"); expires is when the entry becomes worthless
// and may be swept. Now and then Put also sweeps what has expired in the folder.
func (e *Entry) Put(data []byte, holds string, expires time.Time) error {
	e.unstored.Store(true) // until it is; a disk may never answer
	err := e.put(data, holds, expires)
	e.unstored.Store(err != nil)
	return err
}

func (e *Entry) put(data []byte, holds string, expires time.Time) error {
	aead, err := e.seal()
	if err != nil {
		return err
	}
	now := e.dir.now()
	head, err := json.Marshal(header{e.inputs, holds, now.UTC().Truncate(time.Second), expires.UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	entry := append([]byte(magic), head...)
	entry = append(entry, '\n')
	entry = aead.Seal(entry, nil, data, bytes.Clone(entry))
	if len(entry) > maxEntry {
		return fmt.Errorf("%d bytes are more than an entry may have", len(entry))
	}
	if err := e.dir.within(func() error { return replace(e.path(e.suffix), entry, e.suffix != memoSuffix) }); err != nil {
		return err
	}
	e.dir.sweepNowAndThen(now)
	return nil
}

func (e *Entry) path(suffix string) string { return filepath.Join(e.dir.Path, e.name+suffix) }

// split separates the readable head, magic and final newline included, from the sealed rest.
func split(raw []byte) (head, sealed []byte, err error) {
	if !bytes.HasPrefix(raw, []byte(magic)) {
		return nil, nil, errors.New("not an entry of this version")
	}
	end := bytes.IndexByte(raw[len(magic):], '\n')
	if end < 0 {
		return nil, nil, errors.New("cut short")
	}
	end += len(magic) + 1
	return raw[:end], raw[end:], nil
}

// readOwn reads a regular file that belongs to this user and that only he can write to; no link is followed,
// and a pipe or device in its place does not block.
func readOwn(path string, limit int64) ([]byte, error) {
	f, err := open(path, noFollow)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readFile(f, limit, private)
}

// Read reads a regular file of at most so many bytes, whosever it is; links are followed.
func Read(path string, limit int64) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() { // opening a pipe could wait for ever
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := open(path, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readFile(f, limit, func(fs.FileInfo) error { return nil })
}

func readFile(f *os.File, limit int64, fits func(fs.FileInfo) error) ([]byte, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := fits(fi); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if !fi.Mode().IsRegular() || fi.Size() > limit {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", f.Name(), limit)
	}
	// The file may grow while it is read; a sealed entry that was cut does not open.
	buf := make([]byte, fi.Size())
	n, err := io.ReadFull(f, buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return buf[:n], nil
}

func replace(path string, content []byte, sync bool) error {
	temp, err := write(path, content, sync)
	if err != nil {
		return err
	}
	if err := robustio.Rename(temp, path); err != nil { // Windows refuses for moments while somebody reads
		os.Remove(temp)
		return err
	}
	return nil
}

// write makes a file beside path that holds content, with sync safely on disk.
func write(path string, content []byte, sync bool) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+tempSuffix) // 0600, says its documentation
	if err != nil {
		return "", err
	}
	if err := fill(f, content, sync); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// fill writes content to a new file, with sync safely on disk, and closes it.
func fill(f *os.File, content []byte, sync bool) error {
	_, err := f.Write(content)
	if err == nil && sync {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// check says why the folder must not be used; nil when it may. An absent folder is an error too.
func (d Dir) check() error {
	if !filepath.IsAbs(d.Path) {
		return fmt.Errorf("cache folder %q is not an absolute path", d.Path)
	}
	fi, err := os.Lstat(d.Path)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("cache folder %s is not a folder (links are not followed)", d.Path)
	}
	if err := private(fi); err != nil {
		return fmt.Errorf("cache folder %s: %w", d.Path, err)
	}
	return nil
}

func (d Dir) make() error {
	err := d.check()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	return d.check()
}

// within makes the folder where it is absent and does something in it: again when somebody has removed the folder meanwhile.
func (d Dir) within(do func() error) (err error) {
	for range rounds {
		if err = d.make(); err == nil {
			err = do()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func (d Dir) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

// missError keeps the reason of a miss for the log.
type missError struct{ reason error }

func (m missError) Error() string   { return ErrMiss.Error() + ": " + m.reason.Error() }
func (m missError) Unwrap() []error { return []error{ErrMiss, m.reason} }

func miss(reason error) error { return missError{reason} }
