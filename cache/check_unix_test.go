//go:build unix

package cache

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	now := time.Now()
	path := filepath.Join(t.TempDir(), "above", "cache")
	d := Dir{Path: path, Now: func() time.Time { return now }}
	if s, err := d.Check(); err != nil || s != (State{Absent: true}) {
		t.Errorf("absent: %+v, %v", s, err)
	}
	if _, err := os.Lstat(filepath.Dir(d.Path)); err == nil {
		t.Error("Check created a directory")
	}
	entry := func(secret string) *Entry { return newEntry(t, d, secret, "a=b") }
	put(t, entry("one"), "data") // sweeps now, so that the expired entry stays
	if err := entry("two").Put([]byte("data"), "token", now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	overwrite(t, entry("three"), []byte("something else"))
	for _, secret := range []string{"one", "two"} {
		unlock, err := entry(secret).Lock(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if secret == "one" {
			unlock()
		} else {
			defer unlock()
		}
	}
	before := fileNames(t, d.Path)
	want := State{Mode: 0o700, Entries: 2, Expired: 1, Unreadable: 1, LocksHeld: 1}
	if s, err := d.Check(); err != nil || s != want {
		t.Errorf("%+v, %v; want %+v", s, err, want)
	}
	if after := fileNames(t, d.Path); after != before {
		t.Errorf("Check left %s, there was %s", after, before)
	}
	if unlock, err := entry("one").Lock(t.Context(), false); err != nil {
		t.Errorf("Check kept a lock: %v", err)
	} else {
		unlock()
	}
	if err := os.Chmod(d.Path, 0o777); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Check(); err == nil {
		t.Errorf("a directory that all can write to: %+v", s)
	}
	belowFile := Dir{Path: filepath.Join(entry("one").path(entrySuffix), "below")}
	if s, err := belowFile.Check(); err == nil {
		t.Errorf("a directory below a file: %+v", s)
	}
}

func fileNames(t *testing.T, dir string) (names string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names += e.Name() + " "
	}
	return names
}
