// Package sealed encrypts and reads the files of a cache, and opens and takes their locks. It is
// the part of package cache that package warmstart needs before the rest of the program is
// initialized, so it imports little.
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
	// version is the version of the layout of entries. Entries of other versions are misses.
	version = "1"

	// Magic starts every entry.
	Magic = "akslogin cache entry " + version + "\n"
	salt  = "akslogin cache " + version

	// MaxEntrySize is the largest size of an entry in bytes: twice that of the largest response
	// that is read from Entra ID.
	MaxEntrySize = 2 << 20

	// WarmStartSuffix ends the names of files with answers that package warmstart prints.
	WarmStartSuffix = ".memo"
)

// Box seals and opens the data of one entry with AES-256-GCM.
type Box struct {
	Name string // of the entry's file, without a suffix: 32 hexadecimal digits

	newAEAD func() (cipher.AEAD, error)
}

// NewBox returns a box whose name and key are derived from secret and inputs (HKDF-SHA256, RFC
// 5869). Equal arguments give the same box. Any difference, also in the order of inputs, gives
// another name and another key. Neither reveals the arguments.
func NewBox(secret []byte, inputs ...string) (*Box, error) {
	prk, err := hkdf.Extract(sha256.New, secret, []byte(salt))
	if err != nil {
		return nil, err
	}
	name, err := hkdf.Expand(sha256.New, prk, hkdfInfo("name", inputs), 16)
	if err != nil {
		return nil, err
	}
	newAEAD := sync.OnceValues(func() (cipher.AEAD, error) {
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
	return &Box{Name: hex.EncodeToString(name), newAEAD: newAEAD}, nil
}

// hkdfInfo returns the info argument of an HKDF expansion. Each input has its length in front, so
// that different lists of inputs never give the same info.
func hkdfInfo(use string, inputs []string) string {
	size := len(use) + 1
	for _, in := range inputs {
		size += 4 + len(in)
	}
	var b strings.Builder
	b.Grow(size) // each reallocation would cost every start two page faults
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

// Path returns the path of the file in dir with the box's name and the suffix.
func (b *Box) Path(dir, suffix string) string {
	return dir + string(os.PathSeparator) + b.Name + suffix
}

// Seal returns an entry: a line of Magic, the header, and the encrypted data. The header is one
// line without newline. It stays readable and is authenticated as the AEAD's additional data. Data
// that would make the entry larger than MaxEntrySize is an error.
func (b *Box) Seal(header, data []byte) ([]byte, error) {
	aead, err := b.newAEAD()
	if err != nil {
		return nil, err
	}
	entry := slices.Concat([]byte(Magic), header, []byte("\n"))
	entry = aead.Seal(entry, nil, data, bytes.Clone(entry))
	if len(entry) > MaxEntrySize {
		return nil, fmt.Errorf("an entry of %d bytes is larger than the limit of %d", len(entry),
			MaxEntrySize)
	}
	return entry, nil
}

// Get returns the data of the entry in dir with the suffix. It changes nothing on disk. If there is
// no entry, the error is fs.ErrNotExist.
func (b *Box) Get(dir, suffix string) ([]byte, error) {
	if err := CheckDir(dir); err != nil {
		return nil, err
	}
	raw, err := ReadPrivate(b.Path(dir, suffix), MaxEntrySize)
	if err != nil {
		return nil, err
	}
	header, ciphertext, err := splitHeader(raw)
	if err != nil {
		return nil, err
	}
	aead, err := b.newAEAD()
	if err != nil {
		return nil, err
	}
	data, err := aead.Open(nil, nil, ciphertext, header)
	if err != nil {
		return nil, errors.New("damaged, or encrypted with another secret")
	}
	return data, nil
}

// Header returns the header that was given to Seal. It is not authenticated: only Get proves that
// the header is genuine.
func Header(raw []byte) ([]byte, error) {
	header, _, err := splitHeader(raw)
	if err != nil {
		return nil, err
	}
	return header[len(Magic) : len(header)-1], nil
}

// splitHeader splits an entry into the header, with Magic and the newline, and the ciphertext.
func splitHeader(raw []byte) (header, ciphertext []byte, err error) {
	if !bytes.HasPrefix(raw, []byte(Magic)) {
		return nil, nil, errors.New("not an entry of this version")
	}
	end := bytes.IndexByte(raw[len(Magic):], '\n')
	if end < 0 {
		return nil, nil, errors.New("truncated")
	}
	end += len(Magic) + 1
	return raw[:end], raw[end:], nil
}
