package cache

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/akslogin/akslogin/cache/sealed"
)

func TestUnsafeDirIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs symbolic links and permission bits")
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
		"another user's": func(t *testing.T, path string) {
			mkdir(t, path, 0o700)
			if err := os.Chown(path, 54321, -1); err != nil {
				t.Skip("changing the owner needs root")
			}
		},
		"in another user's home": func(t *testing.T, path string) {
			if err := os.Chown(filepath.Dir(path), 54321, -1); err != nil {
				t.Skip("changing the owner needs root")
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
			if _, err := d.Check(); err == nil {
				t.Error("Check worked")
			}
			if _, err := os.Lstat(d.Path); err != nil {
				return // none was made, and there is nothing to list or clear
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

func TestUnsafeFileIsMiss(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs symbolic links and pipes")
	}
	d := Dir{Path: filepath.Join(t.TempDir(), "cache")}
	e := newEntry(t, d, "secret")
	put(t, e, "data")
	path := e.path(entrySuffix)
	good, _ := os.ReadFile(path)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	os.WriteFile(elsewhere, good, 0o600)
	for name, plant := range map[string]func() error{
		"a link":             func() error { return os.Symlink(elsewhere, path) },
		"a pipe":             func() error { return exec.Command("mkfifo", path).Run() },
		"a directory":        func() error { return os.Mkdir(path, 0o700) },
		"others could write": func() error { os.WriteFile(path, good, 0o600); return os.Chmod(path, 0o666) },
		"too large":          func() error { return os.WriteFile(path, make([]byte, sealed.MaxEntrySize+1), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := plant(); err != nil {
				t.Fatal(err)
			}
			wantMiss(t, e) // does not block either
		})
	}
}
