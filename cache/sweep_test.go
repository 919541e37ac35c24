package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

func TestList(t *testing.T) {
	now := time.Date(2029, 12, 31, 23, 0, 0, 0, time.UTC)
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), Now: func() time.Time { return now }}
	if got, err := d.List(); got != nil || err != nil {
		t.Errorf("absent folder: %v, %v", got, err)
	}
	put(t, newEntry(t, d, "secret", "client=a", "tenant=b"), "data")
	os.WriteFile(filepath.Join(d.Path, "notes.txt"), []byte(magic), 0o600)
	os.WriteFile(filepath.Join(d.Path, strings.Repeat("0", 32)+entrySuffix), []byte("no entry"), 0o600)
	got, err := d.List()
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	e := got[0]
	if strings.Join(e.Inputs, " ") != "client=a tenant=b" || e.Kind != "token" || !e.Stored.Equal(now) || !e.Expires.Equal(expires) {
		t.Errorf("got %+v", e)
	}
}

func TestClearRemovesOnlyOurFiles(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	if n, err := d.Clear(); n != 0 || err != nil {
		t.Errorf("absent folder: %d, %v", n, err)
	}
	put(t, newEntry(t, d, "one"), "data")
	two := newEntry(t, d, "two")
	put(t, two, "data")
	unlock, err := two.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	free, _ := newEntry(t, d, "three").Lock(t.Context(), true)
	free()
	foreign := filepath.Join(d.Path, "kubectl.json")
	os.WriteFile(foreign, nil, 0o600)
	if n, err := d.Clear(); n != 2 || err != nil {
		t.Errorf("got %d, %v; want 2 entries", n, err)
	}
	left, _ := filepath.Glob(filepath.Join(d.Path, "*"))
	want := []string{two.path(".lock"), foreign}
	if strings.Join(left, " ") != strings.Join(want, " ") && runtime.GOOS != "windows" {
		t.Errorf("left %v, want %v", left, want)
	}
}

func TestSweepRemovesExpired(t *testing.T) {
	now := expires.Add(-time.Hour)
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), Now: func() time.Time { return now }}
	dying, living := newEntry(t, d, "dying"), newEntry(t, d, "living")
	if err := dying.Put([]byte("data"), "token", now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	leave := func(name string, age time.Duration) string {
		path := filepath.Join(d.Path, name)
		os.WriteFile(path, nil, 0o600)
		os.Chtimes(path, now.Add(-age), now.Add(-age))
		return path
	}
	id := strings.Repeat("ab", 16)
	stays := []string{leave(id+".1"+tempSuffix, time.Hour), leave("notes"+tempSuffix, 100*time.Hour), living.path(entrySuffix), filepath.Join(d.Path, sweepMarker)}
	goes := []string{leave(id+".2"+tempSuffix, 30*time.Hour), leave(id+".lock", 30*time.Hour), leave(id+entrySuffix, 30*time.Hour), dying.path(entrySuffix)}

	now = now.Add(sweepInterval - time.Second)
	put(t, living, "data")
	if _, err := os.Stat(goes[0]); err != nil {
		t.Error("swept again too soon")
	}
	now = now.Add(2 * time.Second)
	put(t, living, "data")
	for _, path := range stays {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s is gone", path)
		}
	}
	for _, path := range goes {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

// Memos are not listed, and not counted when they are cleared; of too many, all go when the folder
// is swept.
func TestWarmStartEntries(t *testing.T) {
	now := time.Now()
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), Now: func() time.Time { return now }}
	keep := func(n int) (all []*sealed.Box) {
		for i := range n {
			m, err := sealed.NewBox([]byte("secret"), "memo", fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			if err := d.PutWarmStart(m, []byte("printed"), now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		return all
	}
	left := func(all []*sealed.Box) (n int) {
		for _, m := range all {
			if _, err := m.Get(d.Path, sealed.WarmStartSuffix); err == nil {
				n++
			}
		}
		return n
	}
	few := keep(maxWarmStarts)
	d.sweep(now)
	if got := left(few); got != maxWarmStarts {
		t.Errorf("%d of %d memos are left", got, maxWarmStarts)
	}
	if listed, err := d.List(); err != nil || len(listed) != 0 {
		t.Errorf("listed %v, %v", listed, err)
	}
	many := keep(maxWarmStarts + 1)
	d.sweep(now)
	if got := left(many); got != 0 {
		t.Errorf("%d of too many memos are left", got)
	}
	over := keep(2)
	now = now.Add(2 * time.Hour)
	d.sweep(now)
	if got := left(over); got != 2 {
		t.Errorf("%d of 2 memos are left that have been over for an hour", got)
	}
	now = now.Add(orphanAge)
	d.sweep(now)
	if got := left(over); got != 0 {
		t.Errorf("%d memos are left that have been over for more than a day", got)
	}
	last := keep(2)
	if n, err := d.Clear(); n != 0 || err != nil || left(last) != 0 {
		t.Errorf("%d entries cleared, %v, %d memos left", n, err, left(last))
	}
	keep(1)
	if _, err := newEntry(t, d, "secret", "memo", "0").Get(); !errors.Is(err, ErrMiss) {
		t.Errorf("an entry is a memo: %v", err)
	}
}
