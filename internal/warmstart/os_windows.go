package warmstart

import (
	"os"
	"path/filepath"
)

const homeVariable = "USERPROFILE"

var join = filepath.Join

// userCacheDir is xdg.CacheHome where no variable names it.
func userCacheDir() string { return join(os.Getenv("LOCALAPPDATA"), "cache") }
