//go:build unix

package cache

import (
	"bytes"
	"os"
	"syscall"
	"testing"
)

// The readable header is authenticated: whatever is changed in it, the entry is a miss.
func TestEditedHeaderIsMiss(t *testing.T) {
	for name, edit := range map[string][2]string{
		"lives longer":  {`"expires":"2030`, `"expires":"2130`},
		"other input":   {"client=a", "client=b"},
		"more inputs":   {`"client=a"`, `"client=a","audience=b"`},
		"other kind":    {`"token"`, `"key"`},
		"other version": {magic, "akslogin cache entry other\n"},
		"no version":    {magic, "akslogin cache entry\n"},
		"white space":   {`{"inputs"`, `{ "inputs"`},
		"twice":         {`{"inputs"`, `{"inputs":[],"inputs"`},
	} {
		t.Run(name, func(t *testing.T) {
			e := newAttackedEntry(t)
			put(t, e, "data")
			raw, err := os.ReadFile(e.path(entrySuffix))
			if err != nil {
				t.Fatal(err)
			}
			edited := bytes.Replace(raw, []byte(edit[0]), []byte(edit[1]), 1)
			if bytes.Equal(edited, raw) {
				t.Fatal("nothing was edited")
			}
			overwrite(t, e, edited)
			wantMiss(t, e)
			put(t, e, "data")
			if got, err := e.Get(); err != nil || string(got) != "data" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// Two entries of one secret that are swapped are misses. An entry that is replaced by an older one
// of its own opens.
func TestSwappedAndReplayedEntries(t *testing.T) {
	a := newAttackedEntry(t)
	b := newEntry(t, a.dir, "secret", "client=b")
	put(t, a, "a's older")
	older, err := os.ReadFile(a.path(entrySuffix))
	if err != nil {
		t.Fatal(err)
	}
	put(t, a, "a's")
	put(t, b, "b's")
	if err := syscall.Rename(a.path(entrySuffix), a.path(".aside")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(b.path(entrySuffix), a.path(entrySuffix)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(a.path(".aside"), b.path(entrySuffix)); err != nil {
		t.Fatal(err)
	}
	wantMiss(t, a)
	wantMiss(t, b)
	// The caller must look at the times in the data.
	overwrite(t, a, older)
	if got, err := a.Get(); err != nil || string(got) != "a's older" {
		t.Errorf("got %q, %v", got, err)
	}
}
