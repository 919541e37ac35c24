// Package cache stores encrypted entries on disk, one file each, with a lock that lets one process
// work while others wait for its result. It knows nothing of tokens: an entry's data are bytes.
//
// The name and the key of an entry are derived from a secret that the caller has anyway, such as
// the federated token that it exchanges, and from the inputs that decide the content. Without the
// secret nobody can open an entry, or tell which entry belongs to which secret.
package cache

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// ErrMiss reports a cache miss: the entry is absent, damaged, or sealed with another secret or
// other inputs. The errors that wrap it say which, for a log.
var ErrMiss = errors.New("no such cache entry")

const (
	entrySuffix     = ".sealed"
	warmStartSuffix = sealed.WarmStartSuffix
	tempSuffix      = ".tmp"
)

// Dir is a directory of entries. Storing the first entry or taking the first lock creates it with
// mode 0700, but not in another user's directory. A directory that is a symbolic link, that belongs
// to another user, or that others can write to is not used: every method returns an error and does
// nothing.
type Dir struct {
	Path string           // absolute
	Now  func() time.Time // nil: time.Now

	// HolderTimeout is how long a lock holder may have no heartbeat before waiters skip it (see
	// [Entry.Lock]); 0 is five seconds.
	HolderTimeout time.Duration
}

// Entry is one encrypted file in a Dir, and its lock. Many processes may use it at once.
type Entry struct {
	dir    Dir
	box    *sealed.Box
	suffix string
	inputs []string // for the header

	putFailed atomic.Bool // the last Put failed or has not returned
}

// Entry returns the entry for secret and inputs, whether it exists or not. It reads nothing. Inputs
// have the form "name=value". They stay readable in the file (see [Dir.List]), so they must not be
// secret. Equal arguments give the same entry. Any difference, also in the order of inputs, gives
// another one.
func (d Dir) Entry(secret []byte, inputs ...string) (*Entry, error) {
	box, err := sealed.NewBox(secret, inputs...)
	if err != nil {
		return nil, err
	}
	return &Entry{dir: d, box: box, suffix: entrySuffix, inputs: inputs}, nil
}

// PutWarmStart stores an answer that the program akslogin prints at its next start, before it reads
// an entry. Other programs do not need it. box comes from sealed.NewBox, and names the file.
//
// It differs from [Entry.Put] in that the file is not synced to disk, since losing it costs only
// some work, and in that its header has no inputs. List does not return it, and Clear does not
// count it.
func (d Dir) PutWarmStart(box *sealed.Box, data []byte, expires time.Time) error {
	return (&Entry{dir: d, box: box, suffix: warmStartSuffix}).Put(data, "memo", expires)
}

// header is the JSON line in an entry that stays readable.
type header struct {
	Inputs  []string  `json:"inputs"`
	Kind    string    `json:"holds"`
	Stored  time.Time `json:"stored"`
	Expires time.Time `json:"expires"`
}

// Get returns the data that was last stored, expired or not. Every error wraps ErrMiss. Get changes
// nothing on disk.
func (e *Entry) Get() ([]byte, error) {
	data, err := e.box.Get(e.dir.Path, e.suffix)
	if err != nil {
		return nil, missError{err}
	}
	return data, nil
}

// Put encrypts data and replaces the entry by an atomic rename: a reader sees the old content or
// the new one, even if this process is killed meanwhile. kind is a word for List, such as "token".
// After expires the entry may be removed. Every 15 minutes, one Put also removes the expired
// entries of the directory.
func (e *Entry) Put(data []byte, kind string, expires time.Time) error {
	e.putFailed.Store(true) // stays so if the disk never answers
	err := e.put(data, kind, expires)
	e.putFailed.Store(err != nil)
	return err
}

func (e *Entry) put(data []byte, kind string, expires time.Time) error {
	now := e.dir.now()
	head, err := json.Marshal(header{
		Inputs:  e.inputs,
		Kind:    kind,
		Stored:  now.UTC().Truncate(time.Second),
		Expires: expires.UTC().Truncate(time.Second),
	})
	if err != nil {
		return err
	}
	entry, err := e.box.Seal(head, data)
	if err != nil {
		return err
	}
	sync := e.suffix != warmStartSuffix
	err = e.dir.inDir(func() error { return replaceFile(e.path(e.suffix), entry, sync) })
	if err != nil {
		return err
	}
	e.dir.sweepIfDue(now)
	return nil
}

func (e *Entry) path(suffix string) string { return e.box.Path(e.dir.Path, suffix) }

// create creates the directory if there is none, and checks it.
func (d Dir) create() error {
	err := sealed.CheckDir(d.Path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := sealed.CheckCreate(d.Path); err != nil {
		return err
	}
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	return sealed.CheckDir(d.Path)
}

// inDir creates the directory if there is none and calls do. It repeats both if the directory was
// removed meanwhile.
func (d Dir) inDir(do func() error) (err error) {
	for range maxAttempts {
		if err = d.create(); err == nil {
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

// missError is a cache miss and its reason, for a log.
type missError struct{ reason error }

func (m missError) Error() string   { return ErrMiss.Error() + ": " + m.reason.Error() }
func (m missError) Unwrap() []error { return []error{ErrMiss, m.reason} }
