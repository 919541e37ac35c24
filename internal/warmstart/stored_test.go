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

// storeContent stores content where the run's answer would be.
func storeContent(r *Run, content []byte) error {
	return cache.Dir{Path: r.dir}.PutWarmStart(r.box, content, time.Now().Add(time.Hour))
}

// encodeAnswer returns the content of a stored answer that may be printed for an hour.
func encodeAnswer(now time.Time, answer string) []byte {
	content := binary.BigEndian.AppendUint64(nil, uint64(now.Add(-time.Minute).Unix()))
	content = binary.BigEndian.AppendUint64(content, uint64(now.Add(time.Hour).Unix()))
	return append(content, answer...)
}

func TestSavedAnswerIsUsedOnlyInItsWindow(t *testing.T) {
	r := newRun(withTokenFile(t, nil, nil))
	now := time.Unix(time.Now().Unix(), 0)
	save := func(from, until time.Time, secret, dir string) {
		t.Helper()
		put := cache.Dir{Path: dir}.PutWarmStart
		r.Save([]byte("printed"), now, from, until, []byte(secret), dir, put)
	}
	save(now.Add(-time.Minute), now.Add(time.Hour), "another.token.x", r.dir)
	save(now.Add(-time.Minute), now.Add(time.Hour), "a.b.c", t.TempDir())
	save(now.Add(-time.Hour), now, "a.b.c", r.dir)
	save(time.Time{}, now.Add(time.Hour), "a.b.c", r.dir)
	if got, _ := r.load(now); got != nil {
		t.Fatalf("stored %q", got)
	}
	save(now.Add(-time.Minute), now.Add(time.Hour), "a.b.c", r.dir)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{now.Add(-time.Minute), ""},
		{now.Add(-time.Minute + time.Second), "printed"},
		{now, "printed"},
		{now.Add(time.Hour - time.Second), "printed"},
		{now.Add(time.Hour), ""},
		{now.Add(100 * time.Hour), ""},
		{time.Unix(-1, 0), ""},
		{time.Time{}, ""},
	} {
		if got, _ := r.load(c.at); string(got) != c.want {
			t.Errorf("at %s: %q, want %q", c.at, got, c.want)
		}
	}
	entries, err := cache.Dir{Path: r.dir}.List()
	if err != nil || len(entries) != 0 {
		t.Errorf("listed: %v, %v", entries, err)
	}
}

// The login may have read a file that changed during the run before or after the change.
func TestNotSavedWhenAnInputFileChanged(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRun(withTokenFile(t, nil, []string{caFileVariable + "=" + ca}))
	now := time.Now()
	if err := os.WriteFile(ca, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	put := cache.Dir{Path: r.dir}.PutWarmStart
	r.Save([]byte("printed"), now, now.Add(-time.Minute), now.Add(time.Hour), r.secret, r.dir, put)
	if got, _ := r.load(now); got != nil {
		t.Errorf("stored %q", got)
	}
}

// Only this program can have sealed the content, but it may be of another version.
func TestShortContentIsMiss(t *testing.T) {
	r := newRun(withTokenFile(t, nil, nil))
	for n := range timesSize {
		if err := storeContent(r, bytes.Repeat([]byte{0xff}, n)); err != nil {
			t.Fatal(err)
		}
		if got, _ := r.load(time.Now()); got != nil {
			t.Errorf("%d bytes: %q", n, got)
		}
	}
}
