// Package cache keeps sealed entries on disk, one file an entry, and the locks that let one process
// work while others wait. It knows bytes, not tokens.
//
// An entry's name and its key are both derived from a secret that the caller presents elsewhere
// anyway and from every input that decides the content. Who has the folder without the secret can
// neither open an entry nor tell which one would be his.
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

// ErrMiss says that there is nothing to be had from an entry: it is absent, was sealed with another
// secret or other inputs, or is damaged. Errors that wrap it say which, for a log.
var ErrMiss = errors.New("no such cache entry")

const (
	entrySuffix     = ".sealed"
	warmStartSuffix = sealed.WarmStartSuffix
	tempSuffix      = ".tmp"
)

// Dir is a folder of entries. It is made, with mode 0700, when something is first stored in it. A
// folder that is a link, somebody else's or writable by others is not used: every call says so and
// does nothing.
type Dir struct {
	Path          string           // absolute
	Now           func() time.Time // nil: time.Now
	HolderTimeout time.Duration    // how long a lock's holder may show no sign of life; 0: five seconds
}

// Entry is one sealed file in a Dir and the lock beside it. It is safe for use by many processes at
// once.
type Entry struct {
	dir    Dir
	box    *sealed.Box
	suffix string
	inputs []string // that stand in the file

	putFailed atomic.Bool // a Put failed
}

// Entry returns the entry that belongs to secret and inputs, whether it exists or not; nothing is
// read yet. Inputs are "name=value" and stand readable in the file (see List), so they must hold
// nothing secret. Their order counts. Equal arguments give the same entry, any difference gives
// another.
func (d Dir) Entry(secret []byte, inputs ...string) (*Entry, error) {
	box, err := sealed.NewBox(secret, inputs...)
	if err != nil {
		return nil, err
	}
	return &Entry{dir: d, box: box, suffix: entrySuffix, inputs: inputs}, nil
}

// PutWarmStart is [Entry.Put] for what saves some work and is worth no more: it is not synced to
// the disk, does not say of itself what belongs to it, so that what its box was made of may be
// anything, and is not counted.
func (d Dir) PutWarmStart(box *sealed.Box, data []byte, expires time.Time) error {
	return (&Entry{dir: d, box: box, suffix: warmStartSuffix}).Put(data, "memo", expires)
}

// header stands readable at the head of an entry.
type header struct {
	Inputs  []string  `json:"inputs"`
	Kind    string    `json:"holds"`
	Stored  time.Time `json:"stored"`
	Expires time.Time `json:"expires"`
}

// Get returns what was last stored. Every error wraps ErrMiss; nothing is changed on disk.
func (e *Entry) Get() ([]byte, error) {
	data, err := e.box.Get(e.dir.Path, e.suffix)
	if err != nil {
		return nil, missError{err}
	}
	return data, nil
}

// Put seals data and replaces the entry in one step: a reader sees the old content or the new, also
// when this process is killed half-way. holds is a word for List ("token"); expires is when the
// entry becomes worthless and may be swept. Now and then Put also sweeps what has expired in the
// folder.
func (e *Entry) Put(data []byte, holds string, expires time.Time) error {
	e.putFailed.Store(true) // until it is; a disk may never answer
	err := e.put(data, holds, expires)
	e.putFailed.Store(err != nil)
	return err
}

func (e *Entry) put(data []byte, holds string, expires time.Time) error {
	now := e.dir.now()
	head, err := json.Marshal(
		header{
			e.inputs,
			holds,
			now.UTC().Truncate(time.Second),
			expires.UTC().Truncate(time.Second),
		},
	)
	if err != nil {
		return err
	}
	entry, err := e.box.Seal(head, data)
	if err != nil {
		return err
	}
	if err := e.dir.inDir(
		func() error { return replaceFile(e.path(e.suffix), entry, e.suffix != warmStartSuffix) },
	); err != nil {
		return err
	}
	e.dir.sweepIfDue(now)
	return nil
}

func (e *Entry) path(suffix string) string { return e.box.Path(e.dir.Path, suffix) }

func (d Dir) create() error {
	err := sealed.CheckDir(d.Path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	return sealed.CheckDir(d.Path)
}

// inDir makes the folder where it is absent and does something in it: again when somebody has
// removed the folder meanwhile.
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

// missError keeps the reason of a miss for the log.
type missError struct{ reason error }

func (m missError) Error() string   { return ErrMiss.Error() + ": " + m.reason.Error() }
func (m missError) Unwrap() []error { return []error{ErrMiss, m.reason} }
