package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// magic opens every entry.
const magic = "akslogin cache entry 1\n"

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

func wantMiss(t *testing.T, e *Entry) {
	t.Helper()
	if got, err := e.Get(); !errors.Is(err, ErrMiss) {
		t.Errorf("got %q, %v; want a miss", got, err)
	}
}

func TestOnlySecretAndInputsOpen(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret", "client=a", "tenant=b")
	wantMiss(t, e)
	put(t, e, "data")
	if got, err := newEntry(t, d, "secret", "client=a", "tenant=b").Get(); err != nil || string(got) != "data" {
		t.Fatalf("got %q, %v", got, err)
	}
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
			// Neither does the file open when it is put in the other's place.
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

func TestFilesTellNothing(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "a", "cache")}
	put(t, newEntry(t, d, "the secret", "client=a"), "the content")
	files, err := os.ReadDir(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(d.Path); runtime.GOOS != "windows" && fi.Mode().Perm() != 0o700 {
		t.Errorf("folder has mode %o", fi.Mode().Perm())
	}
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(d.Path, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("the content")) || bytes.Contains(raw, []byte("the secret")) {
			t.Errorf("%s has it in the clear", file.Name())
		}
		if fi, _ := file.Info(); runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", file.Name(), fi.Mode().Perm())
		}
	}
}

func TestEveryDamagedByteIsAMiss(t *testing.T) {
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
	put(t, e, "data") // and it is replaced without ado
	if got, err := e.Get(); err != nil || string(got) != "data" {
		t.Errorf("got %q, %v", got, err)
	}
}

func overwrite(t *testing.T, e *Entry, raw []byte) {
	t.Helper()
	if err := os.WriteFile(e.path(entrySuffix), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFoldersThatAreNotUsed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links and permission bits are Unix's")
	}
	for name, prepare := range map[string]func(t *testing.T, path string){
		"group can write":  func(t *testing.T, path string) { mkdir(t, path, 0o770) },
		"others can write": func(t *testing.T, path string) { mkdir(t, path, 0o707) },
		"a file":           func(t *testing.T, path string) { os.WriteFile(path, nil, 0o600) },
		"a link": func(t *testing.T, path string) {
			mkdir(t, path+".target", 0o700)
			os.Symlink(path+".target", path)
		},
		"a relative path": nil,
		"somebody else's": func(t *testing.T, path string) {
			mkdir(t, path, 0o700)
			if err := os.Chown(path, 54321, -1); err != nil {
				t.Skip("giving a folder away needs root")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
			if prepare != nil {
				prepare(t, d.Path)
			} else {
				d.Path = "cache"
			}
			e := newEntry(t, d, "secret")
			wantMiss(t, e)
			if err := e.Put([]byte("data"), "token", expires); err == nil {
				t.Error("Put worked")
			}
			if _, err := e.Lock(t.Context(), true); err == nil {
				t.Error("Lock worked")
			}
			if _, err := d.List(); err == nil {
				t.Error("List worked")
			}
			if _, err := d.Clear(); err == nil {
				t.Error("Clear worked")
			}
			if left, _ := filepath.Glob(filepath.Join(d.Path, "*")); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func mkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatAreNotRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links and pipes are Unix's")
	}
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret")
	put(t, e, "data")
	path := e.path(entrySuffix)
	good, _ := os.ReadFile(path)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	os.WriteFile(elsewhere, good, 0o600)
	for name, place := range map[string]func() error{
		"a link":              func() error { return os.Symlink(elsewhere, path) },
		"a pipe":              func() error { return exec.Command("mkfifo", path).Run() },
		"a folder":            func() error { return os.Mkdir(path, 0o700) },
		"others could write":  func() error { os.WriteFile(path, good, 0o600); return os.Chmod(path, 0o666) },
		"more than is stored": func() error { return os.WriteFile(path, make([]byte, sealed.MaxEntry+1), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := place(); err != nil {
				t.Fatal(err)
			}
			wantMiss(t, e) // and does not hang
		})
	}
}

func TestPutKeepsTheOldEntryWhenItFails(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret")
	put(t, e, "data")
	if err := e.Put(make([]byte, sealed.MaxEntry), "token", expires); err == nil {
		t.Error("an entry that could not be read again was stored")
	}
	if got, err := e.Get(); err != nil || string(got) != "data" {
		t.Errorf("got %q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(d.Path, "*"+tempSuffix)); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

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
	if strings.Join(e.Inputs, " ") != "client=a tenant=b" || e.Holds != "token" || !e.Stored.Equal(now) || !e.Expires.Equal(expires) {
		t.Errorf("got %+v", e)
	}
}

func TestClearTouchesOnlyItsOwn(t *testing.T) {
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

func TestSweep(t *testing.T) {
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
	stays := []string{leave(id+".1"+tempSuffix, time.Hour), leave("notes"+tempSuffix, 100*time.Hour), living.path(entrySuffix), filepath.Join(d.Path, sweptFile)}
	goes := []string{leave(id+".2"+tempSuffix, 30*time.Hour), leave(id+".lock", 30*time.Hour), leave(id+entrySuffix, 30*time.Hour), dying.path(entrySuffix)}

	now = now.Add(sweepEvery - time.Second)
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

func TestLockOneAtATime(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret")
	unlock, err := e.Lock(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Lock(t.Context(), false); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v, want ErrHeld", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() { _, err := e.Lock(ctx, true); waiting <- err }()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	second := make(chan func())
	go func() { u, _ := e.Lock(t.Context(), true); second <- u }()
	unlock()
	if u := <-second; u == nil {
		t.Error("the lock did not come free")
	} else {
		u()
	}
}

// A lock file that is swept away while somebody waits for it must not leave two holders of two files.
func TestLockAfterTheFileWasRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed there")
	}
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret")
	first, err := e.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan func())
	go func() { u, _ := e.Lock(t.Context(), true); got <- u }()
	os.Remove(e.path(".lock"))
	first()
	u := <-got
	if u == nil {
		t.Fatal("no lock")
	}
	defer u()
	if _, err := e.Lock(t.Context(), false); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v; the waiter holds a file that nobody else sees", err)
	}
}

func TestLockWithoutAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	e := newEntry(t, Dir{Path: filepath.Join(file, "cache")}, "secret")
	if _, err := e.Lock(t.Context(), true); err == nil {
		t.Error("got a lock from nowhere")
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
	f.Add([]byte(magic + `{"inputs":["client=a"],"expires":"2030-01-01T00:00:00Z"}` + "\n0123456789ab"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := Dir{Path: t.TempDir()}
		os.Chmod(d.Path, 0o700)
		e, _ := d.Entry([]byte("secret"), "client=a")
		if err := os.WriteFile(e.path(entrySuffix), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		// Fuzzing processes each sealed a seed of their own; whatever opens must be what was sealed.
		if got, err := e.Get(); err == nil && string(got) != "data" || err != nil && !errors.Is(err, ErrMiss) {
			t.Fatalf("got %q, %v", got, err)
		}
		if _, err := d.List(); err != nil {
			t.Fatal(err)
		}
	})
}

// Memos are not listed, and not counted when they are cleared; of too many, all go when the folder is swept.
func TestMemos(t *testing.T) {
	now := time.Now()
	d := Dir{Path: filepath.Join(t.TempDir(), "cache"), Now: func() time.Time { return now }}
	keep := func(n int) (all []*sealed.Box) {
		for i := range n {
			m, err := sealed.NewBox([]byte("secret"), "memo", fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			if err := d.PutMemo(m, []byte("printed"), now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		return all
	}
	left := func(all []*sealed.Box) (n int) {
		for _, m := range all {
			if _, err := m.Get(d.Path, sealed.MemoSuffix); err == nil {
				n++
			}
		}
		return n
	}
	few := keep(maxMemos)
	d.sweep(now)
	if got := left(few); got != maxMemos {
		t.Errorf("%d of %d memos are left", got, maxMemos)
	}
	if listed, err := d.List(); err != nil || len(listed) != 0 {
		t.Errorf("listed %v, %v", listed, err)
	}
	many := keep(maxMemos + 1)
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
	now = now.Add(leftover)
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
