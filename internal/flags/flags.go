// Package flags has the command line's flags and reads them as people and kubeconfigs write them:
// in pflag's syntax, as kubelogin does. The flags of get-token are the fields of [token.Request]
// and of this file's structs; kong reads both from the structs' tags.
//
// Besides kong's own tags a field may have those that the doc comment of [token.Request] lists:
// variables that the flag is read from (azurerm, overrides, ambient), its default (otherwise), and
// whether its value is never shown (secret).
package flags

import (
	"cmp"
	"reflect"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/token"
)

// GetToken has all flags of get-token.
type GetToken struct {
	token.Request
	Cache
	Log
}

// GlobalFlags are flags of every command.
type GlobalFlags struct {
	Verbosity   int  `name:"v" short:"v" placeholder:"LEVEL" help:"Log each step to standard error. Every level logs the same. Secrets are never logged."`
	LogToStderr bool `name:"logtostderr" hidden:"" help:"Accepted for compatibility with kubelogin."`
}

// Cache says where the cache is.
type Cache struct {
	CacheDir string `name:"cache-dir" aliases:"token-cache-dir" group:"cache" placeholder:"FOLDER" ambient:"AKSLOGIN_CACHE_DIR,KUBECACHEDIR" help:"Folder of the cached tokens; by default akslogin in the user's cache folder, or else a private one in the temporary folder."`
}

// Dir returns the cache directory that the flag names, or else a variable, or else the default of
// package cache. Only the default has a fallback: if a directory is named, tokens are stored there
// or not at all.
func (c Cache) Dir() cache.Dir {
	path := c.named()
	if path == "" {
		path, _, _ = cache.DefaultDir()
	}
	return cache.Dir{Path: cache.ExpandPath(path), Now: time.Now}
}

// Fallback returns the default directory that Dir does not return, and why Dir returns the
// fallback; nil if it does not. If a directory is named, there is no other.
func (c Cache) Fallback() (other string, reason error) {
	if c.named() == "" {
		_, other, reason = cache.DefaultDir()
	}
	return other, reason
}

func (c Cache) named() string { return valueOrVariable(c.CacheDir, reflect.TypeOf(c), "CacheDir") }

// Log says where runs are logged if the client drops standard error.
type Log struct {
	LogFile string `name:"log-file" group:"general" placeholder:"FILE" ambient:"AKSLOGIN_LOG_FILE" help:"Append the log and the error of a failed run to this file; with -v, of every run. Useful where a host discards standard error."`
}

// Path returns the absolute path of the log file that the flag names, or else the variable; "" for
// neither.
func (l Log) Path() string {
	named := valueOrVariable(l.LogFile, reflect.TypeOf(l), "LogFile")
	if named == "" {
		return ""
	}
	return cache.ExpandPath(named)
}

// valueOrVariable returns a flag's value, or else that of the first of its variables that is set.
func valueOrVariable(value string, flags reflect.Type, fieldName string) string {
	field, _ := flags.FieldByName(fieldName)
	for _, v := range token.Variables(field.Tag.Get) {
		value = cmp.Or(value, envvar.Get(v.Name))
	}
	return value
}
