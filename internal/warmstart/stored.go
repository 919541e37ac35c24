package warmstart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// diskTimeout is the longest wait for a disk. After it the normal path decides, which can do
// without the stored answer.
const diskTimeout = 3 * time.Second

// timesSize is the length of the times in front of a stored answer: Unix seconds from which and
// until which it may be printed, as two big-endian uint64.
const timesSize = 2 * 8

// load returns the stored answer if it may be printed at now, nil if not. absent reports that there
// is none: not even one whose time is over.
func (r *Run) load(now time.Time) (answer []byte, absent bool) {
	if r == nil {
		return nil, false
	}
	content, err := r.box.Get(r.dir, sealed.WarmStartSuffix)
	if err != nil || len(content) < timesSize {
		return nil, errors.Is(err, fs.ErrNotExist)
	}
	from, until := binary.BigEndian.Uint64(content), binary.BigEndian.Uint64(content[8:])
	if now := uint64(now.Unix()); now < from || now >= until {
		return nil, false
	}
	return content[timesSize:], false
}

// Save stores answer, which this process printed at now. Runs with the same identity print it at
// times after from and before until.
//
// presentedSecret is the federated token that the login presented, and dir is where its token is
// cached. If they differ from those of the identity, if an input file changed during this run, or
// if the answer is already stored, Save stores nothing. put stores content under the box's name in
// dir (cache.Dir's PutWarmStart); its error is ignored, since the next run then takes the normal
// path. Save returns after three seconds at most.
func (r *Run) Save(
	answer []byte,
	now, from, until time.Time,
	presentedSecret []byte,
	dir string,
	put func(box *sealed.Box, content []byte, expires time.Time) error,
) {
	if r == nil {
		return
	}
	withTimeout(diskTimeout, func(*time.Timer) error {
		if r.dir != dir || !bytes.Equal(r.secret, presentedSecret) ||
			from.Unix() < 0 || !now.Before(until) {
			return nil
		}
		// If a file changed, the login may have read it before or after.
		again := newRun(r.args, r.environ)
		if again == nil || again.box.Name != r.box.Name {
			return nil
		}
		if stored, _ := r.load(now); stored != nil {
			return nil
		}
		content := make([]byte, 0, timesSize+len(answer))
		content = binary.BigEndian.AppendUint64(content, uint64(from.Unix()+1))
		content = binary.BigEndian.AppendUint64(content, uint64(until.Unix()))
		return put(r.box, append(content, answer...), until)
	})
}

// withTimeout calls do, which may block forever, in another goroutine, and waits for its result.
// After the timeout it returns false, and do goes on. If do stops the timer before, withTimeout
// waits for the result however long it takes.
func withTimeout[T any](timeout time.Duration, do func(*time.Timer) T) (result T, inTime bool) {
	done, expired := make(chan T, 1), make(chan struct{})
	// time.NewTimer would look up a GODEBUG setting, which costs as much as reading a file.
	timer := time.AfterFunc(timeout, func() { close(expired) })
	defer timer.Stop()
	go func() { done <- do(timer) }()
	select {
	case result = <-done:
		return result, true
	case <-expired:
		return result, false
	}
}
