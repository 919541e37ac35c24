package cache

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"
)

// ResolveDir is the folder that somebody named: ~ is the home folder, which no shell resolves in a
// kubeconfig, and a relative path is from where the process runs. Where nobody named one it is the
// user's cache folder's own for this program. A path that cannot be resolved stays as it is; then
// it is not used.
func ResolveDir(named string) string {
	if named == "" {
		return filepath.Join(xdg.CacheHome, "akslogin")
	}
	return ExpandPath(named)
}

// ExpandPath resolves a path that a person wrote. What cannot be resolved stays as it is.
func ExpandPath(path string) string {
	if rest, found := strings.CutPrefix(
		path,
		"~",
	); found &&
		(rest == "" || os.IsPathSeparator(rest[0])) {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
