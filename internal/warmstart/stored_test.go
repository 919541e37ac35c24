//go:build unix

package warmstart

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/akslogin/akslogin/cache"
)

// storeContent stores content as a memo.
func storeContent(m *Run, content []byte) error {
	return cache.Dir{Path: m.dir}.PutWarmStart(m.box, content, time.Now().Add(time.Hour))
}

// encodeAnswer is a memo's content with what was printed, for an hour.
func encodeAnswer(now time.Time, printed string) []byte {
	times := binary.BigEndian.AppendUint64(nil, uint64(now.Add(-time.Minute).Unix()))
	return append(binary.BigEndian.AppendUint64(times, uint64(now.Add(time.Hour).Unix())), printed...)
}

func TestSavedAnswerIsUsedOnlyInItsWindow(t *testing.T) {
	m := newRun(withTokenFile(t, nil, nil))
	now := time.Unix(time.Now().Unix(), 0)
	keep := func(from, until time.Time, secret, folder string) {
		t.Helper()
		m.Save([]byte("printed"), now, from, until, []byte(secret), folder, cache.Dir{Path: folder}.PutWarmStart)
	}
	keep(now.Add(-time.Minute), now.Add(time.Hour), "another.token.x", m.dir)
	keep(now.Add(-time.Minute), now.Add(time.Hour), "a.b.c", t.TempDir())
	keep(now.Add(-time.Hour), now, "a.b.c", m.dir)
	keep(time.Time{}, now.Add(time.Hour), "a.b.c", m.dir)
	if got, _ := m.load(now); got != nil {
		t.Fatalf("kept %q", got)
	}
	keep(now.Add(-time.Minute), now.Add(time.Hour), "a.b.c", m.dir)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{now.Add(-time.Minute), ""}, {now.Add(-time.Minute + time.Second), "printed"}, {now, "printed"}, {now.Add(time.Hour - time.Second), "printed"},
		{now.Add(time.Hour), ""}, {now.Add(100 * time.Hour), ""}, {time.Unix(-1, 0), ""}, {time.Time{}, ""},
	} {
		if got, _ := m.load(c.at); string(got) != c.want {
			t.Errorf("at %s: %q, want %q", c.at, got, c.want)
		}
	}
	entries, err := cache.Dir{Path: m.dir}.List()
	if err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// A file that has changed since it was read for the memo may have been read so or so by the login.
func TestNotSavedWhenAnInputFileChanged(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newRun(withTokenFile(t, nil, []string{caFileVariable + "=" + ca}))
	now := time.Now()
	if err := os.WriteFile(ca, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Save([]byte("printed"), now, now.Add(-time.Minute), now.Add(time.Hour), m.secret, m.dir, cache.Dir{Path: m.dir}.PutWarmStart)
	if got, _ := m.load(now); got != nil {
		t.Errorf("kept %q", got)
	}
}

// Whatever is kept is sealed, so only this program wrote it; it may be of another version, though.
func TestShortContentIsMiss(t *testing.T) {
	m := newRun(withTokenFile(t, nil, nil))
	for n := range 16 {
		if err := storeContent(m, bytes.Repeat([]byte{0xff}, n)); err != nil {
			t.Fatal(err)
		}
		if got, _ := m.load(time.Now()); got != nil {
			t.Errorf("%d bytes: %q", n, got)
		}
	}
}
