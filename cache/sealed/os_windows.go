package sealed

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"
)

// package syscall lacks LockFileEx. golang.org/x/sys/windows has it, but imports net, which would
// then be initialized before every warm start.
var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

const (
	lockfileFailImmediately = 1
	lockfileExclusiveLock   = 2

	errorLockViolation = syscall.Errno(33)
)

// NoFollow is 0: Go follows links on Windows. Only this user can make them in a directory of the
// user's profile.
const NoFollow = 0

func openForReading(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|flags, 0)
}

// IsAbs is filepath.IsAbs.
func IsAbs(path string) bool { return filepath.IsAbs(path) }

// ExpandVariables replaces each %NAME% in path by the value of the variable, if it is set.
func ExpandVariables(path string) string {
	before, rest, found := strings.Cut(path, "%")
	if !found {
		return path
	}
	name, after, closed := strings.Cut(rest, "%")
	if value := os.Getenv(name); closed && value != "" {
		return before + value + ExpandVariables(after)
	}
	return before + "%" + ExpandVariables(rest)
}

// CheckPrivate returns nil. The permission bits mean nothing on Windows, where the access list of
// the user's profile protects its directories. In a directory elsewhere, others could damage
// entries, which are then misses.
func CheckPrivate(fs.FileInfo) error { return nil }

var parentDir = filepath.Dir

// FallbackDir returns the path of a directory in the temporary directory, which is in the user's
// profile. It serves where the user's cache directory is not usable.
func FallbackDir() string { return filepath.Join(os.TempDir(), "akslogin") }

// checkHost and checkWritable return nil, for the reasons of CheckPrivate.
func checkHost(fs.FileInfo) error { return nil }
func checkWritable(string) error  { return nil }

// hasOneLink reports whether it is a regular file. Only this user can make links in a directory of
// the user's profile.
func hasOneLink(fi fs.FileInfo) bool { return fi.Mode().IsRegular() }

// Lock takes a lock, which is freed when f is closed. If another open file holds it, Lock waits, or
// without wait returns ErrHeld at once.
func Lock(f *os.File, wait bool) error {
	how := uintptr(lockfileExclusiveLock)
	if !wait {
		how |= lockfileFailImmediately
	}
	const all = math.MaxUint32
	ok, _, err := lockFileEx.Call(
		f.Fd(), how, 0, all, all, uintptr(unsafe.Pointer(new(syscall.Overlapped))))
	switch {
	case ok != 0:
		return nil
	case errors.Is(err, errorLockViolation):
		return ErrHeld
	}
	return err
}
