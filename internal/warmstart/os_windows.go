package warmstart

import (
	"os"
	"path/filepath"
)

const homeVariable = "USERPROFILE"

var join = filepath.Join

// userCacheDir returns what xdg.CacheHome is if $XDG_CACHE_HOME is unset.
func userCacheDir() string { return join(os.Getenv("LOCALAPPDATA"), "cache") }
