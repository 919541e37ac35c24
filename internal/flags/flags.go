package flags

import (
	"cmp"
	"reflect"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/token"
)

// GlobalFlags are every command's.
type GlobalFlags struct {
	Verbosity   int  `name:"v" short:"v" placeholder:"LEVEL" help:"Say on standard error what is done. Any level says everything; none of it is secret."`
	LogToStderr bool `name:"logtostderr" hidden:"" help:"Accepted, for kubelogin's sake."`
}

// Cache say where the cache is.
type Cache struct {
	CacheDir string `name:"cache-dir" aliases:"token-cache-dir" group:"cache" placeholder:"FOLDER" ambient:"AKSLOGIN_CACHE_DIR,KUBECACHEDIR" help:"Folder of the cached tokens; by default akslogin in the user's cache folder."`
}

// Dir is the folder that was named first: by the flag, by a variable, by the system's custom.
func (c Cache) Dir() cache.Dir {
	return cache.Dir{
		Path: cache.ResolveDir(valueOrVariable(c.CacheDir, reflect.TypeOf(c), "CacheDir")),
		Now:  time.Now,
	}
}

// valueOrVariable returns a flag's value, or else that of the first of its variables that is set.
func valueOrVariable(value string, flags reflect.Type, name string) string {
	field, _ := flags.FieldByName(name)
	for _, v := range token.Variables(field.Tag.Get) {
		value = cmp.Or(value, envvar.Get(v.Name))
	}
	return value
}

// GetToken are the flags of get-token.
type GetToken struct {
	token.Request
	Cache
	Log
}

// Log say where a run is written down for hosts that throw standard error away.
type Log struct {
	LogFile string `name:"log-file" group:"general" placeholder:"FILE" ambient:"AKSLOGIN_LOG_FILE" help:"File to which a failed run appends what it did and why it failed, as -v would say it; with -v every run does. For hosts that throw standard error away."`
}

// Path is the log file's absolute path, by the flag or else by the variable; "" where there is
// none.
func (l Log) Path() string {
	named := valueOrVariable(l.LogFile, reflect.TypeOf(l), "LogFile")
	if named == "" {
		return ""
	}
	return cache.ExpandPath(named)
}
