package cache

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Files from the future, as a clock that was ahead leaves them, are swept, and do not keep others
// from being swept.
func TestSweepRemovesFilesFromTheFuture(t *testing.T) {
	now := time.Now()
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), Now: func() time.Time { return now }}
	e := newEntry(t, d, "secret")
	put(t, e, "data")
	id := strings.Repeat("ab", 16)
	future := now.AddDate(50, 0, 0)
	own := []string{
		sweepMarker, id + ".1" + tempSuffix, id + ".lock", id + ".lock2", id + entrySuffix,
	}
	for _, name := range own {
		if err := writeWithTime(filepath.Join(d.Path, name), future); err != nil {
			t.Fatal(err)
		}
	}
	young := filepath.Join(d.Path, id+".2"+tempSuffix) // of a machine whose clock is a little ahead
	if err := writeWithTime(young, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	expired := newEntry(t, d, "expired")
	if err := expired.Put([]byte("data"), "token", now.AddDate(-50, 0, 0)); err != nil {
		t.Fatal(err)
	}
	valid := newEntry(t, d, "valid")
	if err := valid.Put([]byte("data"), "token", now.AddDate(50, 0, 0)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(sweepInterval)
	put(t, e, "data")
	left, err := filepath.Glob(filepath.Join(d.Path, "*"))
	if err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(d.Path, sweepMarker)
	want := []string{e.path(entrySuffix), valid.path(entrySuffix), young, marker}
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Errorf("left\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(want, "\n"))
	}
}

// The file that a killed Check leaves is swept as any other temporary file.
func TestSweepRemovesProbeFile(t *testing.T) {
	now := time.Now()
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), Now: func() time.Time { return now }}
	e := newEntry(t, d, "secret")
	put(t, e, "data")
	temp, err := writeTemp(filepath.Join(d.Path, probeName), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(orphanAge + time.Hour)
	put(t, e, "data")
	if _, err := os.Lstat(temp); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was not swept: %v", temp, err)
	}
}
