package warmstart

import (
	"testing"

	"github.com/akslogin/akslogin/cache"
)

// A path of any form leads to the same folder with and without the fast path.
func TestCacheDirIsTheLogins(t *testing.T) {
	t.Setenv("CACHE_TEST_FOLDER", `D:\tokens`)
	for path, want := range map[string]string{
		"":                             "",
		`~\tokens`:                     "",
		`tokens\..\other`:              "",
		`..\tokens`:                    "",
		`C:\tokens\`:                   `C:\tokens`,
		`C:/tokens`:                    `C:\tokens`,
		`C:tokens`:                     "",
		`\tokens`:                      "",
		`\\server\share\tokens`:        `\\server\share\tokens`,
		`%CACHE_TEST_FOLDER%\x`:        `D:\tokens\x`,
		`C:\100%\%CACHE_TEST_NOTHING%`: `C:\100%\%CACHE_TEST_NOTHING%`,
		`C:\50%%CACHE_TEST_FOLDER%`:    `C:\50%D:\tokens`,
	} {
		got := cacheDir(path)
		if login := cache.ResolveDir(path); got != login || want != "" && got != want {
			t.Errorf("%q: %s, want %s, the login's is %s", path, got, want, login)
		}
	}
}
