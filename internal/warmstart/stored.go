package warmstart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// load is what the memo holds, if its time is now; else nil, and so is that of no memo. absent:
// there is none yet.
func (m *Run) load(now time.Time) (answer []byte, absent bool) {
	if m == nil {
		return nil, false
	}
	kept, err := m.box.Get(m.dir, sealed.WarmStartSuffix)
	if err != nil || len(kept) < 2*8 {
		return nil, errors.Is(err, fs.ErrNotExist)
	}
	from, until := binary.BigEndian.Uint64(kept), binary.BigEndian.Uint64(kept[8:])
	if now := uint64(now.Unix()); now < from || now >= until {
		return nil, false
	}
	return kept[2*8:], false
}

// Save has put keep what this process has printed now, to be printed again by one that is called
// the same between two times. secret is what the login has presented and folder where its token is
// cached: where they are not what the memo would be found by, nothing is kept, and neither where it
// is there already. put stores under a box's name in folder (cache.Dir's PutMemo). It takes no
// longer than three seconds.
func (m *Run) Save(
	printed []byte,
	now, from, until time.Time,
	secret []byte,
	folder string,
	put func(box *sealed.Box, content []byte, expires time.Time) error,
) {
	if m == nil {
		return
	}
	withTimeout(diskTimeout, func() error {
		if m.dir != folder || !bytes.Equal(m.secret, secret) || from.Unix() < 0 ||
			!now.Before(until) {
			return nil
		}
		again := newRun(m.args, m.environ)
		if again == nil || again.box.Name != m.box.Name ||
			again.dir != m.dir { // a file has changed, and who knows which the login read
			return nil
		}
		if answer, _ := m.load(now); answer != nil {
			return nil
		}
		times := binary.BigEndian.AppendUint64(
			binary.BigEndian.AppendUint64(nil, uint64(from.Unix()+1)),
			uint64(until.Unix()),
		)
		return put(
			m.box,
			append(times, printed...),
			until,
		) // without it the next run takes the usual way
	})
}

// withTimeout does something that may take for ever, and waits for it no longer than that.
func withTimeout[T any](atMost time.Duration, do func() T) (done T, inTime bool) {
	ended, late := make(chan T, 1), make(chan struct{})
	go func() { ended <- do() }()
	timer := time.AfterFunc(
		atMost,
		func() { close(late) },
	) // NewTimer would look up a GODEBUG setting first, which costs as much as reading a file
	defer timer.Stop()
	select {
	case done = <-ended:
		return done, true
	case <-late:
		return done, false
	}
}

const diskTimeout = 3 * time.Second // a disk that takes longer is left to the rest of the program, which can do without it
