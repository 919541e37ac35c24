//go:build unix

package warmstart

import (
	"cmp"
	"os"
	"path"
	"runtime"

	"github.com/akslogin/akslogin/cache/sealed"
)

const homeVariable = "HOME"

// join is path.Join: path/filepath would bring a dozen packages that are initialized first.
var join = path.Join

// absolute returns what filepath.Abs returns.
func absolute(path string) string {
	if sealed.IsAbs(path) {
		return join(path)
	}
	wd, _ := os.Getwd()
	return join(wd, path)
}

// userCacheDir returns what xdg.CacheHome is if $XDG_CACHE_HOME is unset.
func userCacheDir() string {
	home := cmp.Or(os.Getenv(homeVariable), "/")
	if runtime.GOOS == "darwin" {
		return join(home, "Library", "Caches")
	}
	return join(home, ".cache")
}
