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

// mount mounts for the time of a test, or skips it: only root can.
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

func wantUpdateError(t *testing.T, path, want string, is error) {
	t.Helper()
	err := Update(context.Background(), path, replaceWith(strings.Repeat("after\n", 100_000)))
	if err == nil || !errors.Is(err, is) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v; want %s", err, want)
	}
	wantContent(t, path, "before")
	wantFiles(t, filepath.Dir(path), filepath.Base(path))
}

// As containers get a single file.
func TestUpdateMountedFile(t *testing.T) {
	path, inside := writeConfig(t, "before", 0o600), writeConfig(t, "below", 0o600)
	mount(t, path, inside, "", syscall.MS_BIND, "")
	wantUpdateError(t, inside, "mounted by itself", syscall.EBUSY)
}

func TestUpdateFullDisk(t *testing.T) {
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=64k")
	path := filepath.Join(dir, "config")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantUpdateError(t, path, "was not written", syscall.ENOSPC)
}

func TestUpdateReadOnlyDisk(t *testing.T) {
	path := writeConfig(t, "before", 0o600)
	dir := filepath.Dir(path)
	mount(t, dir, dir, "", syscall.MS_BIND, "")
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	wantUpdateError(t, path, "lock "+path, syscall.EROFS)
}

func TestUpdateUnwritableDirectory(t *testing.T) {
	path := writeConfig(t, "before", 0o600)
	dir := filepath.Dir(path)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	if os.Geteuid() == 0 {
		t.Skip("root may")
	}
	wantUpdateError(t, path, "lock "+path, os.ErrPermission)
}

// The file's owner stays where this user may give files away, its group where he is in it.
func TestUpdateKeepsOwnerAndGroup(t *testing.T) {
	path := writeConfig(t, "before", 0o640)
	if err := os.Chown(path, 12345, 54321); err != nil {
		t.Skip("giving a file away needs root")
	}
	if err := Update(context.Background(), path, replaceWith("after")); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil || st.Uid != 12345 || st.Gid != 54321 || st.Mode&0o777 != 0o640 {
		t.Errorf("%d:%d %o, %v", st.Uid, st.Gid, st.Mode, err)
	}
}
