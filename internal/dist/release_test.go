package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	for _, c := range []struct{ tag, version, python string }{
		{"v0.1.0", "0.1.0", "0.1.0"},
		{"v1.20.3", "1.20.3", "1.20.3"},
		{"v0.1.0-rc.1", "0.1.0-rc.1", "0.1.0rc1"},
		{"v0.1.0-alpha.0", "0.1.0-alpha.0", "0.1.0a0"},
		{"v0.1.0-beta.12", "0.1.0-beta.12", "0.1.0b12"},
	} {
		r, err := parseVersion(c.tag)
		if err != nil || r.tag != c.tag || r.version() != c.version || r.python() != c.python {
			t.Errorf("%s: %+v, %v", c.tag, r, err)
		}
	}
	for _, tag := range []string{
		"", "0.1.0", "v0.1", "v0.1.0-rc1", "v0.1.0-rc.01", "v0.1.0+x", "v01.0.0", "v0.1.0-dev.1",
		"v0.1.0\n", "x v0.1.0",
	} {
		if r, err := parseVersion(tag); err == nil {
			t.Errorf("%q is %+v", tag, r)
		}
	}
}

// newRepository makes a repository with one commit and changes to it.
func newRepository(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Chdir(dir)
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	write(t, filepath.Join(dir, "file"), "committed")
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"add", "file"},
		{"-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "-m", "first",
			"--date", "2026-01-02T03:04:05Z"},
		{"tag", "v0.0.9"},
	} {
		if _, err := git(dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The clone has the commit and the version's tag, and no other tag.
func TestCheckout(t *testing.T) {
	dir := newRepository(t)
	clone := filepath.Join(t.TempDir(), "clone")
	commit, at, err := checkout(clone, "v0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	if want, err := git(dir, "rev-parse", "HEAD"); err != nil || commit != want {
		t.Errorf("commit %s, want %s (%v)", commit, want, err)
	}
	tags, err := git(clone, "tag")
	if err != nil || tags != "v0.1.0" || at.IsZero() || at.Location().String() != "UTC" {
		t.Errorf("tags %q, time %v, %v", tags, at, err)
	}
	if content, err := os.ReadFile(filepath.Join(clone, "file")); string(content) != "committed" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestDirtyTreeIsRefused(t *testing.T) {
	for name, change := range map[string]func(dir string){
		"changed":   func(dir string) { write(t, filepath.Join(dir, "file"), "changed") },
		"untracked": func(dir string) { write(t, filepath.Join(dir, "another"), "") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepository(t)
			change(dir)
			_, _, err := checkout(filepath.Join(t.TempDir(), "clone"), "v0.1.0")
			if err == nil || !strings.Contains(err.Error(), "the work tree is not clean") {
				t.Error(err)
			}
		})
	}
}
