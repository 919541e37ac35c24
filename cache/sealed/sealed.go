// Package sealed knows how an entry of the cache is sealed and read, and its lock file. It is apart because it imports little: package memo needs it before
// the rest of the program is initialised.
package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
)

const (
	// magic opens every entry. A change of layout changes the number in it and in salt, so that older entries miss.
	magic = "akslogin cache entry 1\n"
	salt  = "akslogin cache 1"

	// MaxEntry is how large an entry may be: twice the largest answer that is read from Entra ID.
	MaxEntry = 2 << 20

	// MemoSuffix ends the names of entries that are memos.
	MemoSuffix = ".memo"
)

// Box seals one entry, and opens it.
type Box struct {
	Name string // of its file, without a suffix: 32 hexadecimal digits

	seal func() (cipher.AEAD, error)
}

// NewBox returns the box that belongs to secret and inputs. Equal arguments give the same box, any difference, in the inputs' order too, gives another
// name and another key, and neither tells the arguments.
func NewBox(secret []byte, inputs ...string) (*Box, error) {
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
	return &Box{Name: hex.EncodeToString(name), seal: seal}, nil
}

// info is the context of an expansion. Each part carries its length, so that no two lists of inputs read alike.
func info(use string, inputs []string) string {
	size := len(use) + 1
	for _, in := range inputs {
		size += 4 + len(in)
	}
	var b strings.Builder
	b.Grow(size) // growing step by step costs a start two pages for each step
	b.WriteString(use)
	b.WriteByte(0)
	for _, in := range inputs {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(in)))
		b.Write(length[:])
		b.WriteString(in)
	}
	return b.String()
}

// Path is the file in a folder that has the box's name and a suffix.
func (b *Box) Path(folder, suffix string) string {
	return folder + string(os.PathSeparator) + b.Name + suffix
}

// Close returns an entry that holds data, with a head of one line before it that stands readable there and is authenticated (the AEAD's additional data).
func (b *Box) Close(head, data []byte) ([]byte, error) {
	aead, err := b.seal()
	if err != nil {
		return nil, err
	}
	entry := slices.Concat([]byte(magic), head, []byte("\n"))
	entry = aead.Seal(entry, nil, data, bytes.Clone(entry))
	if len(entry) > MaxEntry {
		return nil, fmt.Errorf("%d bytes are more than an entry may have", len(entry))
	}
	return entry, nil
}

// Get returns what the entry with that suffix holds in a folder. Nothing is changed on disk.
func (b *Box) Get(folder, suffix string) ([]byte, error) {
	if err := CheckFolder(folder); err != nil {
		return nil, err
	}
	raw, err := ReadOwn(b.Path(folder, suffix), MaxEntry)
	if err != nil {
		return nil, err
	}
	head, sealed, err := split(raw)
	if err != nil {
		return nil, err
	}
	aead, err := b.seal()
	if err != nil {
		return nil, err
	}
	data, err := aead.Open(nil, nil, sealed, head)
	if err != nil {
		return nil, errors.New("damaged, or not sealed with this secret")
	}
	return data, nil
}

// Head returns the readable head of an entry. Nobody has vouched for it: only opening the entry proves its head.
func Head(raw []byte) ([]byte, error) {
	head, _, err := split(raw)
	if err != nil {
		return nil, err
	}
	return head[len(magic) : len(head)-1], nil
}

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

// CheckFolder says why a folder must not be used; nil when it may: it is this user's, nobody else can write to it, and it is no link. An absent folder is
// an error too (fs.ErrNotExist).
func CheckFolder(path string) error {
	if !IsAbs(path) {
		return fmt.Errorf("cache folder %q is not an absolute path", path)
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("cache folder %s is not a folder (links are not followed)", path)
	}
	if err := Private(fi); err != nil {
		return fmt.Errorf("cache folder %s: %w", path, err)
	}
	return nil
}

// ReadOwn reads a regular file that belongs to this user and that only he can write to; no link is followed,
// and a pipe or device in its place does not block.
func ReadOwn(path string, limit int64) ([]byte, error) {
	f, err := open(path, NoFollow)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadFile(f, limit, Private)
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
	return ReadFile(f, limit, func(fs.FileInfo) error { return nil })
}

// ReadFile reads an open regular file of at most so many bytes, if it fits.
func ReadFile(f *os.File, limit int64, fits func(fs.FileInfo) error) ([]byte, error) {
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
