package memo

import (
	"os"
	"path/filepath"
)

const homeVariable = "USERPROFILE"

var join, isAbs = filepath.Join, filepath.IsAbs

// userCache is xdg.CacheHome where no variable names it.
func userCache() string { return join(os.Getenv("LOCALAPPDATA"), "cache") }
