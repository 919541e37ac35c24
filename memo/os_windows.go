package memo

import (
	"os"
	"path/filepath"
)

const homeVariable = "USERPROFILE"

func join(elements ...string) string { return filepath.Join(elements...) }

func isAbs(name string) bool { return filepath.IsAbs(name) }

// cacheHome is xdg.CacheHome.
func cacheHome() string {
	if named := os.Getenv("XDG_CACHE_HOME"); isAbs(named) {
		return named
	}
	return join(os.Getenv("LOCALAPPDATA"), "cache")
}
