//go:build unix

package warmstart

import (
	"cmp"
	"os"
	"path"
	"runtime"
)

const homeVariable = "HOME"

// join is path.Join: path/filepath would bring a dozen packages that are initialized first.
var join = path.Join

// userCacheDir returns what xdg.CacheHome is if $XDG_CACHE_HOME is unset.
func userCacheDir() string {
	home := cmp.Or(os.Getenv(homeVariable), "/")
	if runtime.GOOS == "darwin" {
		return join(home, "Library", "Caches")
	}
	return join(home, ".cache")
}
