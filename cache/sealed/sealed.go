// Package sealed knows how an entry of the cache is sealed and read, and its lock file. It is apart
// because it imports little: package memo needs it before the rest of the program is initialised.
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
	"os"
	"slices"
	"strings"
	"sync"
)

const (
	// magic opens every entry. A change of layout changes the number in it and in salt, so that
	// older entries miss.
	magic = "akslogin cache entry 1\n"
	salt  = "akslogin cache 1"

	// MaxEntrySize is how large an entry may be: twice the largest answer that is read from Entra
	// ID.
	MaxEntrySize = 2 << 20

	// WarmStartSuffix ends the names of entries that are memos.
	WarmStartSuffix = ".memo"
)

// Box seals one entry, and opens it.
type Box struct {
	Name string // of its file, without a suffix: 32 hexadecimal digits

	newAEAD func() (cipher.AEAD, error)
}

// NewBox returns the box that belongs to secret and inputs. Equal arguments give the same box, any
// difference, in the inputs' order too, gives another name and another key, and neither tells the
// arguments.
func NewBox(secret []byte, inputs ...string) (*Box, error) {
	// RFC 5869: one extraction from the secret, then an expansion for each use.
	prk, err := hkdf.Extract(sha256.New, secret, []byte(salt))
	if err != nil {
		return nil, err
	}
	name, err := hkdf.Expand(sha256.New, prk, hkdfInfo("name", inputs), 16)
	if err != nil {
		return nil, err
	}
	seal := sync.OnceValues(func() (cipher.AEAD, error) {
		key, err := hkdf.Expand(sha256.New, prk, hkdfInfo("key", inputs), 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCMWithRandomNonce(block)
	})
	return &Box{Name: hex.EncodeToString(name), newAEAD: seal}, nil
}

// hkdfInfo is the context of an expansion. Each part carries its length, so that no two lists of
// inputs read alike.
func hkdfInfo(use string, inputs []string) string {
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

// Seal returns an entry that holds data, with a head of one line before it that stands readable
// there and is authenticated (the AEAD's additional data).
func (b *Box) Seal(head, data []byte) ([]byte, error) {
	aead, err := b.newAEAD()
	if err != nil {
		return nil, err
	}
	entry := slices.Concat([]byte(magic), head, []byte("\n"))
	entry = aead.Seal(entry, nil, data, bytes.Clone(entry))
	if len(entry) > MaxEntrySize {
		return nil, fmt.Errorf("%d bytes are more than an entry may have", len(entry))
	}
	return entry, nil
}

// Get returns what the entry with that suffix holds in a folder. Nothing is changed on disk.
func (b *Box) Get(folder, suffix string) ([]byte, error) {
	if err := CheckDir(folder); err != nil {
		return nil, err
	}
	raw, err := ReadPrivate(b.Path(folder, suffix), MaxEntrySize)
	if err != nil {
		return nil, err
	}
	head, sealed, err := splitHeader(raw)
	if err != nil {
		return nil, err
	}
	aead, err := b.newAEAD()
	if err != nil {
		return nil, err
	}
	data, err := aead.Open(nil, nil, sealed, head)
	if err != nil {
		return nil, errors.New("damaged, or not sealed with this secret")
	}
	return data, nil
}

// Header returns the readable head of an entry. Nobody has vouched for it: only opening the entry
// proves its head.
func Header(raw []byte) ([]byte, error) {
	head, _, err := splitHeader(raw)
	if err != nil {
		return nil, err
	}
	return head[len(magic) : len(head)-1], nil
}

// splitHeader separates the readable head, magic and final newline included, from the sealed rest.
func splitHeader(raw []byte) (head, sealed []byte, err error) {
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
