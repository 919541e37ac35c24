//go:build unix

package warmstart

import (
	"cmp"
	"os"
	"path"
	"runtime"
)

const homeVariable = "HOME"

// join is path/filepath's, which would come with a dozen packages that are initialised first.
var join = path.Join

// userCacheDir is xdg.CacheHome where no variable names it.
func userCacheDir() string {
	home := cmp.Or(os.Getenv(homeVariable), "/")
	if runtime.GOOS == "darwin" {
		return join(home, "Library", "Caches")
	}
	return join(home, ".cache")
}
