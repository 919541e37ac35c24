package cache

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// noDir is a Dir without a path.
var noDir Dir

// Concurrent callers that find no key get the same new one, and leave no other file.
func TestConcurrentCallersGetOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "key")
	keys := make([][]byte, 50)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := noDir.Key(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	all.Wait()
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) || len(key) != keySize {
			t.Fatalf("%x, %x", key, keys[0])
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	fi, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi, err)
	}
}

func TestInvalidKeyIsReplaced(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"cut":      func(path string) error { return os.Truncate(path, 5) },
		"empty":    func(path string) error { return os.Truncate(path, 0) },
		"long":     func(path string) error { return os.WriteFile(path, make([]byte, 4096), 0o600) },
		"readable": func(path string) error { return os.Chmod(path, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "readable" && runtime.GOOS == "windows" {
				t.Skip("needs permission bits")
			}
			path := filepath.Join(t.TempDir(), "data", "key")
			before, err := noDir.Key(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			key, err := noDir.Key(path)
			if err != nil || bytes.Equal(key, before) || len(key) != keySize {
				t.Errorf("%x, %v", key, err)
			}
			if again, err := noDir.Key(path); err != nil || !bytes.Equal(again, key) {
				t.Errorf("%x, %v", again, err)
			}
		})
	}
}

// A key that is not this user's own is not used, and stays as it is.
func TestUnsafeKeyIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need privileges on Windows")
	}
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere")
	content := bytes.Repeat([]byte{7}, keySize)
	if err := os.WriteFile(elsewhere, content, 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(data, "key")
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	if key, err := noDir.Key(path); err == nil {
		t.Errorf("%x from a link", key)
	}
	if got, err := os.ReadFile(elsewhere); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%x, %v", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	if key, err := noDir.Key(path); err == nil {
		t.Errorf("%x from a directory that all can write to", key)
	}
	if key, err := noDir.Key("relative/key"); err == nil {
		t.Errorf("%x from a relative path", key)
	}
}

// The key is never stored among the entries that it seals, whatever path leads to the directory.
func TestKeyInsideCacheDirIsRefused(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(data, "key")
	for _, entriesDir := range []string{data, dir} {
		if key, err := (Dir{Path: entriesDir}).Key(path); err == nil {
			t.Errorf("%x, with entries in %s", key, entriesDir)
		}
	}
	if runtime.GOOS != "windows" {
		link := filepath.Join(dir, "link")
		if err := os.Symlink(data, link); err != nil {
			t.Fatal(err)
		}
		if key, err := (Dir{Path: link}).Key(path); err == nil {
			t.Errorf("%x, with entries in a link to its directory", key)
		}
	}
	below, beside := filepath.Join(data, "cache"), filepath.Join(dir, "beside")
	for _, entriesDir := range []string{below, beside} {
		if key, err := (Dir{Path: entriesDir}).Key(path); err != nil || len(key) != keySize {
			t.Errorf("%x, %v, with entries in %s", key, err, entriesDir)
		}
	}
}
