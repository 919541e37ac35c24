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

// longAgo is the modification time of the files that must stay as they are.
var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// otherFile is another file of the user, to which an attacker leads the program.
type otherFile struct {
	path, content string
	before        fs.FileInfo
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

// wantUntouched fails if the file was removed or replaced, or if its content, modification time or
// permissions changed.
func (f otherFile) wantUntouched(t *testing.T) {
	t.Helper()
	fi, err := os.Lstat(f.path)
	if err != nil {
		t.Errorf("the other file is gone: %v", err)
		return
	}
	raw, err := os.ReadFile(f.path)
	if err != nil || string(raw) != f.content {
		t.Errorf("the other file holds %q, %v", raw, err)
	}
	if !os.SameFile(fi, f.before) || fi.Mode() != f.before.Mode() || !fi.ModTime().Equal(longAgo) {
		t.Errorf("the other file has mode %v and time %v, want %v and %v",
			fi.Mode(), fi.ModTime(), f.before.Mode(), longAgo)
	}
}

// ownPaths returns the paths at which this package opens, creates or removes files for an entry.
// The name of a real temporary file cannot be foreseen.
func ownPaths(e *Entry) map[string]string {
	return map[string]string{
		"entry":       e.path(entrySuffix),
		"lock":        e.path(".lock"),
		"second lock": e.path(".lock2"),
		"marker":      filepath.Join(e.dir.Path, sweepMarker),
		"temporary":   e.path(entrySuffix + ".123" + tempSuffix),
	}
}

// useEverything calls everything that this package does to a directory of entries.
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
		t.Error("an entry that is too large was stored")
	}
	unlock() // marks the lock file: the holder failed
	for range 2 {
		unlock = lock()
		_ = e.Put([]byte("data"), "token", expires) // also sweeps
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

// wantWorking fails if, after an attack, an entry is not stored and read, or its lock is not
// exclusive.
func wantWorking(t *testing.T, e *Entry) {
	t.Helper()
	put(t, e, "data")
	wantData(t, e, "data")
	unlock, err := e.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := e.Lock(t.Context(), false); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v, want ErrHeld", err)
	}
	for _, name := range []string{"entry", "lock", "marker"} {
		fi, err := os.Lstat(ownPaths(e)[name])
		if err != nil || fi.Mode() != 0o600 || fi.Sys().(*syscall.Stat_t).Nlink != 1 {
			t.Errorf("%s: %v, %v", name, fi, err)
		}
	}
}

// newAttackedEntry returns an entry in an empty directory for planted files.
func newAttackedEntry(t *testing.T) *Entry {
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	mkdir(t, d.Path, 0o700)
	return newEntry(t, d, "secret", "client=a")
}

// Links under every name that this package uses lead to other files of the user, which stay as they
// are.
func TestPlantedLinks(t *testing.T) {
	header := `{"inputs":["client=a"],"holds":"token",` +
		`"stored":"2000-01-01T00:00:00Z","expires":"2000-01-02T00:00:00Z"}`
	contents := map[string]string{
		"key":     "-----BEGIN OPENSSH PRIVATE KEY-----",
		"entry":   magic + header + "\n0123456789abcdef",
		"nothing": "",
	}
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
		"to its directory": func(to, at string) error { return os.Symlink(filepath.Dir(to), at) },
		"to itself":        func(_, at string) error { return os.Symlink(filepath.Base(at), at) },
	}
	for kind, link := range links {
		for name := range ownPaths(newAttackedEntry(t)) {
			for holds, content := range contents {
				t.Run(strings.Join([]string{kind, name, holds}, "/"), func(t *testing.T) {
					e, other := newAttackedEntry(t), newOtherFile(t, "id_rsa", content)
					if err := link(other.path, ownPaths(e)[name]); err != nil {
						t.Fatal(err)
					}
					useEverything(t, e)
					other.wantUntouched(t)
					files, err := os.ReadDir(filepath.Dir(other.path))
					if err != nil || len(files) != 1 {
						t.Errorf("beside the other file: %v, %v", files, err)
					}
					wantWorking(t, e)
					other.wantUntouched(t)
				})
			}
		}
	}
}

// The lock file may not be a hard link: its heartbeat would change another file.
func TestHardLinkedLockIsNotHeld(t *testing.T) {
	e, other := newAttackedEntry(t), newOtherFile(t, "authorized_keys", "ssh-ed25519 AAAA")
	for _, suffix := range lockSuffixes {
		if err := os.Link(other.path, e.path(suffix)); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := e.Lock(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if f, err := os.Open(other.path); err != nil || sealed.Lock(f, false) != nil {
		t.Errorf("the other file is locked, %v", err)
	} else {
		f.Close()
	}
	other.wantUntouched(t)
}

// Special files and directories under the names that this package uses do not block it, are not
// emptied, and do not stop it from using other files.
func TestPlantedSpecialFiles(t *testing.T) {
	plants := map[string]func(at string) error{
		"pipe":         func(at string) error { return unix.Mkfifo(at, 0o600) },
		"socket":       makeSocket,
		"directory":    func(at string) error { return os.Mkdir(at, 0o700) },
		"device":       func(at string) error { return unix.Mknod(at, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },     // /dev/zero never ends
		"other device": func(at string) error { return unix.Mknod(at, unix.S_IFBLK|0o600, int(unix.Mkdev(240, 240))) }, // without a driver
		"sparse file": func(at string) error {
			err := os.WriteFile(at, []byte(magic+"{}\n"), 0o600)
			if err == nil {
				err = os.Truncate(at, 2<<30)
			}
			return err
		},
		"unreadable file": func(at string) error { return os.WriteFile(at, nil, 0) },
		"another user's file": func(at string) error {
			header := `{"inputs":["client=b"],"holds":"token","expires":"2100-01-01T00:00:00Z"}`
			err := os.WriteFile(at, []byte(magic+header+"\n"), 0o600)
			if err == nil {
				err = os.Chown(at, 54321, -1)
			}
			return err
		},
	}
	for kind, plant := range plants {
		for name := range ownPaths(newAttackedEntry(t)) {
			t.Run(kind+"/"+name, func(t *testing.T) {
				e := newAttackedEntry(t)
				err := plant(ownPaths(e)[name])
				if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) {
					t.Skip("needs root, and a user namespace with more than one user")
				} else if err != nil {
					t.Fatal(err)
				}
				listed, err := e.dir.List()
				if err != nil || kind == "another user's file" && len(listed) > 0 {
					t.Errorf("listed: %v, %v", listed, err)
				}
				useEverything(t, e)
				if kind+name != "directoryentry" { // a rename does not replace a directory
					wantWorking(t, e)
				}
			})
		}
	}
	for name := range ownPaths(newAttackedEntry(t)) {
		t.Run("full directory/"+name, func(t *testing.T) {
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
	// A socket's address cannot be as long as the path of a test's directory.
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
