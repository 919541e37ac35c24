package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
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
		t.Errorf("no directory: %v, %v", got, err)
	}
	put(t, newEntry(t, d, "secret", "client=a", "tenant=b"), "data")
	os.WriteFile(filepath.Join(d.Path, "notes.txt"), []byte(magic), 0o600)
	notAnEntry := filepath.Join(d.Path, strings.Repeat("0", 32)+entrySuffix)
	os.WriteFile(notAnEntry, []byte("no entry"), 0o600)
	got, err := d.List()
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	want := Listing{[]string{"client=a", "tenant=b"}, "token", now, expires}
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %+v, want %+v", got[0], want)
	}
}

func TestClearRemovesOnlyOurFiles(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	if n, err := d.Clear(); n != 0 || err != nil {
		t.Errorf("no directory: %d, %v", n, err)
	}
	put(t, newEntry(t, d, "one"), "data")
	two := newEntry(t, d, "two")
	put(t, two, "data")
	unlock, err := two.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	unlockThird, _ := newEntry(t, d, "three").Lock(t.Context(), true)
	unlockThird()
	otherFile := filepath.Join(d.Path, "kubectl.json")
	os.WriteFile(otherFile, nil, 0o600)
	if n, err := d.Clear(); n != 2 || err != nil {
		t.Errorf("got %d, %v; want 2 entries", n, err)
	}
	left, _ := filepath.Glob(filepath.Join(d.Path, "*"))
	want := []string{two.path(".lock"), otherFile}
	if strings.Join(left, " ") != strings.Join(want, " ") && runtime.GOOS != "windows" {
		t.Errorf("left %v, want %v", left, want)
	}
}

func TestSweepRemovesExpired(t *testing.T) {
	now := expires.Add(-time.Hour)
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), Now: func() time.Time { return now }}
	expiring, valid := newEntry(t, d, "expiring"), newEntry(t, d, "valid")
	if err := expiring.Put([]byte("data"), "token", now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	writeOld := func(name string, age time.Duration) string {
		path := filepath.Join(d.Path, name)
		os.WriteFile(path, nil, 0o600)
		os.Chtimes(path, now.Add(-age), now.Add(-age))
		return path
	}
	id := strings.Repeat("ab", 16)
	stay := []string{
		writeOld(id+".1"+tempSuffix, time.Hour),
		writeOld("notes"+tempSuffix, 100*time.Hour),
		valid.path(entrySuffix),
		filepath.Join(d.Path, sweepMarker),
	}
	swept := []string{
		writeOld(id+".2"+tempSuffix, 30*time.Hour),
		writeOld(id+".lock", 30*time.Hour),
		writeOld(id+entrySuffix, 30*time.Hour),
		expiring.path(entrySuffix),
	}

	now = now.Add(sweepInterval - time.Second)
	put(t, valid, "data")
	if _, err := os.Stat(swept[0]); err != nil {
		t.Error("swept again too soon")
	}
	now = now.Add(2 * time.Second)
	put(t, valid, "data")
	for _, path := range stay {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s was swept", path)
		}
	}
	for _, path := range swept {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was not swept", path)
		}
	}
}

// Warm start files are not listed, and not counted when they are cleared. If there are too many,
// sweeping removes all.
func TestWarmStartEntries(t *testing.T) {
	now := time.Now()
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), Now: func() time.Time { return now }}
	store := func(n int) (all []*sealed.Box) {
		for i := range n {
			box, err := sealed.NewBox([]byte("secret"), "run", fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			if err := d.PutWarmStart(box, []byte("printed"), now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			all = append(all, box)
		}
		return all
	}
	count := func(all []*sealed.Box) (n int) {
		for _, box := range all {
			if _, err := box.Get(d.Path, sealed.WarmStartSuffix); err == nil {
				n++
			}
		}
		return n
	}
	few := store(maxWarmStarts)
	d.sweep(now)
	if got := count(few); got != maxWarmStarts {
		t.Errorf("%d of %d are left", got, maxWarmStarts)
	}
	if listed, err := d.List(); err != nil || len(listed) != 0 {
		t.Errorf("listed %v, %v", listed, err)
	}
	many := store(maxWarmStarts + 1)
	d.sweep(now)
	if got := count(many); got != 0 {
		t.Errorf("%d of too many are left", got)
	}
	expired := store(2)
	now = now.Add(2 * time.Hour)
	d.sweep(now)
	if got := count(expired); got != 2 {
		t.Errorf("%d of 2 are left that expired an hour ago", got)
	}
	now = now.Add(orphanAge)
	d.sweep(now)
	if got := count(expired); got != 0 {
		t.Errorf("%d are left that expired more than a day ago", got)
	}
	last := store(2)
	if n, err := d.Clear(); n != 0 || err != nil || count(last) != 0 {
		t.Errorf("%d entries cleared, %v, %d warm start files left", n, err, count(last))
	}
	store(1)
	if _, err := newEntry(t, d, "secret", "run", "0").Get(); !errors.Is(err, ErrMiss) {
		t.Errorf("a warm start file is read as an entry: %v", err)
	}
}
