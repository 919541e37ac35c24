package warmstart

import (
	"path/filepath"

	"github.com/akslogin/akslogin/internal/envvar"
)

const homeVariable = "USERPROFILE"

var join = filepath.Join

// userCacheDir returns what xdg.CacheHome is if $XDG_CACHE_HOME is unset.
func userCacheDir() string { return join(envvar.Get("LOCALAPPDATA"), "cache") }
