package cache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// magic starts every entry.
const magic = sealed.Magic

var expires = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func newEntry(t *testing.T, d Dir, secret string, inputs ...string) *Entry {
	t.Helper()
	e, err := d.Entry([]byte(secret), inputs...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func put(t *testing.T, e *Entry, data string) {
	t.Helper()
	if err := e.Put([]byte(data), "token", expires); err != nil {
		t.Fatal(err)
	}
}

func wantData(t *testing.T, e *Entry, want string) {
	t.Helper()
	if got, err := e.Get(); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func wantMiss(t *testing.T, e *Entry) {
	t.Helper()
	if got, err := e.Get(); !errors.Is(err, ErrMiss) {
		t.Errorf("got %q, %v; want a miss", got, err)
	}
}

func TestOtherSecretOrInputsIsMiss(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret", "client=a", "tenant=b")
	wantMiss(t, e)
	put(t, e, "data")
	wantData(t, newEntry(t, d, "secret", "client=a", "tenant=b"), "data")
	for name, other := range map[string]*Entry{
		"secret":      newEntry(t, d, "Secret", "client=a", "tenant=b"),
		"no secret":   newEntry(t, d, "", "client=a", "tenant=b"),
		"input":       newEntry(t, d, "secret", "client=a", "tenant=c"),
		"order":       newEntry(t, d, "secret", "tenant=b", "client=a"),
		"fewer":       newEntry(t, d, "secret", "client=a"),
		"more":        newEntry(t, d, "secret", "client=a", "tenant=b", ""),
		"joined":      newEntry(t, d, "secret", "client=atenant=b"),
		"other split": newEntry(t, d, "secret", "client=at", "enant=b"),
	} {
		t.Run(name, func(t *testing.T) {
			wantMiss(t, other)
			// The file does not open in the other entry's place either.
			raw, err := os.ReadFile(e.path(entrySuffix))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(other.path(entrySuffix), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(other.path(entrySuffix))
			wantMiss(t, other)
		})
	}
}

func TestFilesHoldNoPlaintext(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "a", "cache")}
	put(t, newEntry(t, d, "the secret", "client=a"), "the content")
	files, err := os.ReadDir(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(d.Path); runtime.GOOS != "windows" && fi.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %o", fi.Mode().Perm())
	}
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(d.Path, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("the content")) || bytes.Contains(raw, []byte("the secret")) {
			t.Errorf("%s holds plaintext", file.Name())
		}
		if fi, _ := file.Info(); runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", file.Name(), fi.Mode().Perm())
		}
	}
}

func TestDamagedEntryIsMiss(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret", "client=a")
	put(t, e, "data")
	good, err := os.ReadFile(e.path(entrySuffix))
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		overwrite(t, e, bad)
		wantMiss(t, e)
		overwrite(t, e, good[:i])
		wantMiss(t, e)
	}
	put(t, e, "data") // replaces a damaged entry
	wantData(t, e, "data")
}

func overwrite(t *testing.T, e *Entry, raw []byte) {
	t.Helper()
	if err := os.WriteFile(e.path(entrySuffix), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFailedPutKeepsTheOldEntry(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret")
	put(t, e, "data")
	if err := e.Put(make([]byte, sealed.MaxEntrySize), "token", expires); err == nil {
		t.Error("an entry that is too large to be read was stored")
	}
	wantData(t, e, "data")
	if left, _ := filepath.Glob(filepath.Join(d.Path, "*"+tempSuffix)); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func FuzzGet(f *testing.F) {
	d := Dir{Path: filepath.Join(f.TempDir(), "cache")}
	e, err := d.Entry([]byte("secret"), "client=a")
	if err != nil {
		f.Fatal(err)
	}
	if err := e.Put([]byte("data"), "token", expires); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(e.path(entrySuffix))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(magic))
	f.Add([]byte(magic + "{}\n"))
	header := `{"inputs":["client=a"],"expires":"2030-01-01T00:00:00Z"}`
	f.Add([]byte(magic + header + "\n0123456789ab"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := Dir{Path: t.TempDir()}
		os.Chmod(d.Path, 0o700)
		e, _ := d.Entry([]byte("secret"), "client=a")
		if err := os.WriteFile(e.path(entrySuffix), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		// Each fuzzing process sealed its own seed, so some open and some do not.
		got, err := e.Get()
		if err == nil && string(got) != "data" || err != nil && !errors.Is(err, ErrMiss) {
			t.Fatalf("got %q, %v", got, err)
		}
		if _, err := d.List(); err != nil {
			t.Fatal(err)
		}
	})
}
