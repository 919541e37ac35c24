package warmstart

import (
	"os"
	"path/filepath"
)

const homeVariable = "USERPROFILE"

var join = filepath.Join

// absolute returns what filepath.Abs returns, or "": a path may begin at another drive's root, or
// at its working directory.
func absolute(path string) string {
	path, _ = filepath.Abs(path)
	return path
}

// userCacheDir returns what xdg.CacheHome is if $XDG_CACHE_HOME is unset.
func userCacheDir() string { return join(os.Getenv("LOCALAPPDATA"), "cache") }
