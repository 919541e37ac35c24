//go:build unix

package sealed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"
)

// NoFollow is for os.OpenFile's flags. Opening a symbolic link then fails, and opening a pipe does
// not wait for its other end.
const NoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// openForReading opens a file without Go's netpoller. The netpoller costs every start some system
// calls, and crashes a process that can open no more files.
func openForReading(path string, flags int) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|flags, 0)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		case flags&syscall.O_NONBLOCK != 0:
			_ = syscall.SetNonblock(fd, false) // only opening must not block
		}
		return os.NewFile(uintptr(fd), path), nil
	}
}

// IsAbs is filepath.IsAbs, without the packages that path/filepath imports.
func IsAbs(path string) bool { return path != "" && os.IsPathSeparator(path[0]) }

// CheckPrivate returns nil if the file or directory belongs to this user and nobody else can write
// to it. Otherwise the error says why not.
func CheckPrivate(fi fs.FileInfo) error {
	user := os.Geteuid()
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != user {
		return fmt.Errorf("it belongs to user %d, this process runs as user %d", st.Uid, user)
	}
	if mode := fi.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others can write to it (mode %04o)", mode)
	}
	return nil
}

// parentDir is filepath.Dir, without the packages that path/filepath imports.
var parentDir = path.Dir

// FallbackDir returns the path of this user's directory in the temporary directory, which serves
// where the user's cache directory is not usable.
func FallbackDir() string {
	return path.Join(os.TempDir(), "akslogin-"+strconv.Itoa(os.Geteuid()))
}

// checkHost returns nil if directories of this user may be created in a directory: it belongs to
// this user or to root, or everybody can write to it.
func checkHost(fi fs.FileInfo) error {
	user := os.Geteuid()
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == user || st.Uid == 0 || fi.Mode().Perm()&0o002 != 0 {
		return nil
	}
	return fmt.Errorf("it belongs to user %d, this process runs as user %d", st.Uid, user)
}

// checkWritable returns nil if this process can create files in a directory.
func checkWritable(dir string) error {
	const writeAndSearch = 3 // W_OK | X_OK of access(2)
	if err := syscall.Access(dir, writeAndSearch); err != nil {
		return &fs.PathError{Op: "write to", Path: dir, Err: err}
	}
	return nil
}

// hasOneLink reports whether it is a regular file with one name only. A hard link could be another
// file of this user.
func hasOneLink(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return fi.Mode().IsRegular() && (!ok || st.Nlink <= 1)
}
