package memo

import (
	"os"
	"path/filepath"
)

const homeVariable = "USERPROFILE"

var join = filepath.Join

// userCache is xdg.CacheHome where no variable names it.
func userCache() string { return join(os.Getenv("LOCALAPPDATA"), "cache") }
