//go:build unix

package cache

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
	"golang.org/x/sys/unix"
)

// longAgo is when everything was last changed that nobody may change.
var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// otherFile is another file of the user, to which somebody leads the program.
type otherFile struct {
	path, content string
	was           fs.FileInfo
}

func newOtherFile(t *testing.T, name, content string) otherFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return otherFile{path, content, fi}
}

// wantUntouched fails where the file was removed, replaced, written to, touched or given other
// permissions.
func (b otherFile) wantUntouched(t *testing.T) {
	t.Helper()
	fi, err := os.Lstat(b.path)
	if err != nil {
		t.Errorf("it is gone: %v", err)
		return
	}
	raw, err := os.ReadFile(b.path)
	if err != nil || string(raw) != b.content {
		t.Errorf("it holds %q now, %v", raw, err)
	}
	if !os.SameFile(fi, b.was) || fi.Mode() != b.was.Mode() || !fi.ModTime().Equal(longAgo) {
		t.Errorf("it is %v of %v now, was %v of %v", fi.Mode(), fi.ModTime(), b.was.Mode(), longAgo)
	}
}

// ownPaths are all under which this package opens, makes or removes a file for an entry; a
// temporary one's cannot be foreseen.
func ownPaths(e *Entry) map[string]string {
	return map[string]string{
		"entry": e.path(entrySuffix), "lock": e.path(".lock"), "second lock": e.path(".lock2"), "marker": filepath.Join(e.dir.Path, sweepMarker),
		"temporary": e.path(entrySuffix + ".123" + tempSuffix),
	}
}

// useEverything does everything that is done to a folder of entries, a day after the temporary
// files in it were left.
func useEverything(t *testing.T, e *Entry) {
	t.Helper()
	if got, err := e.Get(); !errors.Is(err, ErrMiss) {
		t.Errorf("read %q, %v", got, err)
	}
	lock := func() (unlock func()) {
		unlock, err := e.Lock(t.Context(), true)
		if err != nil {
			return func() {}
		}
		return unlock
	}
	unlock := lock()
	if err := e.Put(make([]byte, sealed.MaxEntrySize), "token", expires); err == nil {
		t.Error("too much was stored")
	}
	unlock() // marks the lock file, as nothing was stored
	for range 2 {
		unlock = lock()
		_ = e.Put([]byte("data"), "token", expires) // and sweeps
		unlock()
		if _, err := e.dir.List(); err != nil {
			t.Error(err)
		}
		if _, err := e.dir.Check(); err != nil {
			t.Error(err)
		}
		e.Get()
		e.dir.sweep(e.dir.now())
		if _, err := e.dir.Clear(); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
			t.Error(err)
		}
	}
}

// wantWorking fails where the folder, once attacked, does not do its work, or the lock is not what
// one process holds.
func wantWorking(t *testing.T, e *Entry) {
	t.Helper()
	put(t, e, "data")
	if got, err := e.Get(); err != nil || string(got) != "data" {
		t.Errorf("got %q, %v", got, err)
	}
	unlock, err := e.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := e.Lock(t.Context(), false); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v, want ErrHeld", err)
	}
	for _, path := range []string{e.path(entrySuffix), e.path(".lock"), filepath.Join(e.dir.Path, sweepMarker)} {
		if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() || fi.Sys().(*syscall.Stat_t).Nlink != 1 || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", filepath.Base(path), fi, err)
		}
	}
}

// newAttackedEntry is an entry in an empty folder, with the clock years after what is planted there
// was left.
func newAttackedEntry(t *testing.T) *Entry {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	mkdir(t, d.Path, 0o700)
	return newEntry(t, d, "secret", "client=a")
}

// Links under every name that is used lead to files of the user's that have nothing to do with it.
func TestPlantedLinks(t *testing.T) {
	expired := magic + `{"inputs":["client=a"],"holds":"token","stored":"2000-01-01T00:00:00Z","expires":"2000-01-02T00:00:00Z"}` + "\n0123456789abcdef"
	links := map[string]func(to, at string) error{
		"symbolic": os.Symlink, "hard": os.Link,
		"dangling": func(to, at string) error { return os.Symlink(to+".absent", at) },
		"relative": func(to, at string) error {
			rel, err := filepath.Rel(filepath.Dir(at), to)
			if err == nil {
				err = os.Symlink(rel, at)
			}
			return err
		},
		"to its folder": func(to, at string) error { return os.Symlink(filepath.Dir(to), at) },
		"to itself":     func(_, at string) error { return os.Symlink(filepath.Base(at), at) },
	}
	for kind, link := range links {
		for name := range ownPaths(newAttackedEntry(t)) {
			for holds, content := range map[string]string{"key": "-----BEGIN OPENSSH PRIVATE KEY-----", "entry": expired, "nothing": ""} {
				t.Run(strings.Join([]string{kind, name, holds}, "/"), func(t *testing.T) {
					e, theirs := newAttackedEntry(t), newOtherFile(t, "id_rsa", content)
					if err := link(theirs.path, ownPaths(e)[name]); err != nil {
						t.Fatal(err)
					}
					useEverything(t, e)
					theirs.wantUntouched(t)
					if files, err := os.ReadDir(filepath.Dir(theirs.path)); err != nil || len(files) != 1 {
						t.Errorf("beside it there is %v, %v", files, err)
					}
					wantWorking(t, e)
					theirs.wantUntouched(t)
				})
			}
		}
	}
}

// A lock that is held under a hard link touches the other file as long as it is held.
func TestHardLinkedLockIsNotHeld(t *testing.T) {
	e, theirs := newAttackedEntry(t), newOtherFile(t, "authorized_keys", "ssh-ed25519 AAAA")
	for _, suffix := range lockSuffixes {
		if err := os.Link(theirs.path, e.path(suffix)); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := e.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if f, err := os.Open(theirs.path); err != nil || sealed.Lock(f, false) != nil {
		t.Errorf("the other file is locked, %v", err)
	} else {
		f.Close()
	}
	theirs.wantUntouched(t)
}

// What is no file at all under the names that are used does not block, is not emptied and does not
// stop the others.
func TestPlantedSpecialFiles(t *testing.T) {
	things := map[string]func(at string) error{
		"pipe":         func(at string) error { return unix.Mkfifo(at, 0o600) },
		"socket":       makeSocket,
		"folder":       func(at string) error { return os.Mkdir(at, 0o700) },
		"device":       func(at string) error { return unix.Mknod(at, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },     // /dev/zero never ends
		"other device": func(at string) error { return unix.Mknod(at, unix.S_IFBLK|0o600, int(unix.Mkdev(240, 240))) }, // that nothing serves
		"sparse file": func(at string) error {
			err := os.WriteFile(at, []byte(magic+"{}\n"), 0o600)
			if err == nil {
				err = os.Truncate(at, 2<<30)
			}
			return err
		},
		"unreadable file": func(at string) error { return os.WriteFile(at, nil, 0) },
		"somebody's file": func(at string) error {
			err := os.WriteFile(at, []byte(magic+`{"inputs":["client=b"],"holds":"token","expires":"2100-01-01T00:00:00Z"}`+"\n"), 0o600)
			if err == nil {
				err = os.Chown(at, 54321, -1)
			}
			return err
		},
	}
	for what, place := range things {
		for name := range ownPaths(newAttackedEntry(t)) {
			t.Run(what+"/"+name, func(t *testing.T) {
				e := newAttackedEntry(t)
				if err := place(ownPaths(e)[name]); errors.Is(err, fs.ErrPermission) {
					t.Skip("that needs root")
				} else if err != nil {
					t.Fatal(err)
				}
				if listed, err := e.dir.List(); err != nil || what == "somebody's file" && len(listed) > 0 {
					t.Errorf("it is listed: %v, %v", listed, err)
				}
				useEverything(t, e)
				if what+name != "folderentry" { // no file takes a folder's place
					wantWorking(t, e)
				}
			})
		}
	}
	for name := range ownPaths(newAttackedEntry(t)) {
		t.Run("full folder/"+name, func(t *testing.T) {
			e := newAttackedEntry(t)
			inside := filepath.Join(ownPaths(e)[name], "inside")
			if err := os.MkdirAll(inside, 0o700); err != nil {
				t.Fatal(err)
			}
			useEverything(t, e)
			if _, err := os.Stat(inside); err != nil {
				t.Error(err)
			}
		})
	}
}

func makeSocket(at string) error {
	// A socket's address may not be as long as a path in a test's folder.
	folder, err := os.Open(filepath.Dir(at))
	if err != nil {
		return err
	}
	defer folder.Close()
	short, err := os.MkdirTemp("", "s")
	if err != nil {
		return err
	}
	defer os.RemoveAll(short)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, "s"), Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	return os.Rename(filepath.Join(short, "s"), at)
}
