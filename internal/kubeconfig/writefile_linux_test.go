package kubeconfig

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mount mounts a file system until the test ends. It skips the test if this process may not mount.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Skip("no mounts here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// wantReplaceError checks that Replace of a file fails with an error that wraps target, contains
// want and the path, and leaves the directory as it was.
func wantReplaceError(t *testing.T, path, want string, target error) {
	t.Helper()
	after := []byte(strings.Repeat("after\n", 100_000))
	err := Replace(context.Background(), path, []byte("before"), after)
	if err == nil || !errors.Is(err, target) ||
		!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v; want %s", err, want)
	}
	wantContent(t, path, "before")
	wantFiles(t, filepath.Dir(path), filepath.Base(path))
}

// Containers get a single file from outside as a mount of its own.
func TestReplaceMountedFile(t *testing.T) {
	path, mounted := writeConfig(t, "before", 0o600), writeConfig(t, "below", 0o600)
	mount(t, path, mounted, "", syscall.MS_BIND, "")
	wantReplaceError(t, mounted, "is a mount point", syscall.EBUSY)
}

func TestReplaceFullDisk(t *testing.T) {
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=64k")
	path := filepath.Join(dir, "config")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantReplaceError(t, path, "was not written", syscall.ENOSPC)
}

func TestReplaceReadOnlyDisk(t *testing.T) {
	path := writeConfig(t, "before", 0o600)
	dir := filepath.Dir(path)
	mount(t, dir, dir, "", syscall.MS_BIND, "")
	const flags = syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY
	if err := syscall.Mount("", dir, "", flags, ""); err != nil {
		t.Fatal(err)
	}
	wantReplaceError(t, path, "read-only file system", syscall.EROFS)
}

func TestReplaceUnwritableDirectory(t *testing.T) {
	path := writeConfig(t, "before", 0o600)
	dir := filepath.Dir(path)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	if os.Geteuid() == 0 {
		t.Skip("root may write to every directory")
	}
	wantReplaceError(t, path, "was not written", os.ErrPermission)
}

// Replace keeps the owner if this process may give files away, and the group if it may set it.
func TestReplaceKeepsOwnerAndGroup(t *testing.T) {
	path := writeConfig(t, "before", 0o640)
	if err := os.Chown(path, 12345, 54321); err != nil {
		t.Skip("giving a file away needs root")
	}
	if err := replaceAll(path, "before", "after"); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	err := syscall.Stat(path, &st)
	if err != nil || st.Uid != 12345 || st.Gid != 54321 || st.Mode&0o777 != 0o640 {
		t.Errorf("%d:%d %o, %v", st.Uid, st.Gid, st.Mode, err)
	}
}
