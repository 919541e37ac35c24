//go:build unix

package memo

import (
	"cmp"
	"os"
	"path"
	"runtime"
)

const homeVariable = "HOME"

func join(elements ...string) string { return path.Join(elements...) }

func isAbs(name string) bool { return path.IsAbs(name) }

// cacheHome is xdg.CacheHome.
func cacheHome() string {
	if named := os.Getenv("XDG_CACHE_HOME"); isAbs(named) {
		return named
	}
	home := cmp.Or(os.Getenv(homeVariable), "/")
	if runtime.GOOS == "darwin" {
		return join(home, "Library", "Caches")
	}
	return join(home, ".cache")
}
