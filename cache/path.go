package cache

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"

	"github.com/akslogin/akslogin/cache/sealed"
)

// ResolveDir returns the cache directory for a path that a user gave (see [ExpandPath]). For "" it
// is akslogin in the user's cache directory, as $XDG_CACHE_HOME.
func ResolveDir(path string) string {
	if path == "" {
		return filepath.Join(xdg.CacheHome, "akslogin")
	}
	return ExpandPath(path)
}

// OrFallback returns d if entries can be stored in it. Otherwise it returns a private directory of
// this user in the temporary directory, under the same rules.
func (d Dir) OrFallback() Dir {
	d.Other, d.Reason = sealed.FallbackDir(), sealed.Usable(d.Path)
	if d.Reason != nil {
		d.Path, d.Other = d.Other, d.Path
	}
	return d
}

// ExpandPath returns the absolute path for one that a user gave. A leading ~ is the home directory,
// since no shell expands it in a kubeconfig. Relative paths start at the working directory. A path
// that cannot be resolved stays as it is; a Dir with it returns errors.
func ExpandPath(path string) string {
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
