package cache

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"

	"github.com/akslogin/akslogin/cache/sealed"
)

// ResolveDir returns the absolute path of the cache directory for a path that a user gave (see
// [ExpandPath]). For "" that is the folder akslogin in the user's cache directory: $XDG_CACHE_HOME,
// or ~/.cache on Linux, ~/Library/Caches on macOS, %LOCALAPPDATA%\cache on Windows.
func ResolveDir(path string) string {
	if path == "" {
		return filepath.Join(xdg.CacheHome, "akslogin")
	}
	return ExpandPath(path)
}

// DefaultDir returns the path of the directory in which akslogin caches tokens by default. There
// are two candidates: ResolveDir(""), and a private directory of this user in the temporary
// directory, to which the same rules apply. dir is the first one if entries can be stored there.
// Otherwise dir is the second one, and reason says why. other is the candidate that was not chosen:
// tokens may be there from a time when it was.
func DefaultDir() (dir, other string, reason error) {
	dir, other = ResolveDir(""), sealed.FallbackDir()
	if reason = sealed.Usable(dir); reason != nil {
		dir, other = other, dir
	}
	return dir, other, reason
}

// ExpandPath returns the absolute path for one that a user gave. A leading ~ is the home directory,
// and on Windows %NAME% is the variable's value, since no shell expands them in a kubeconfig.
// Relative paths start at the working directory. A path that cannot be resolved stays as it is; a
// Dir with it returns errors.
func ExpandPath(path string) string {
	path = sealed.ExpandVariables(path)
	rest, inHome := strings.CutPrefix(path, "~")
	if inHome && (rest == "" || os.IsPathSeparator(rest[0])) {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
