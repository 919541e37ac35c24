//go:build unix

package warmstart

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adrg/xdg"
	"golang.org/x/sys/unix"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/cache/sealed"
	"github.com/akslogin/akslogin/internal/envvar"
)

// withTokenFile returns arguments for newRun that name a federated token's file and a cache
// directory, and environ.
func withTokenFile(t testing.TB, args, environ []string) (_, _ []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" a.b.c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	named := []string{"--federated-token-file", file, "--cache-dir", filepath.Dir(file)}
	return append(named, args...), environ
}

func TestFlagValue(t *testing.T) {
	for line, want := range map[string]string{
		"": "", "--a": "", "--a x": "x", "--a=x": "x", "--a=": "", "--a x --a=y": "y", "--a=y --a x": "x", "--b x --aa=y -a=z": "",
		"--old x": "x", "--a x --old y": "y", "--a=x --a": "x", "--a x -- --a y": "x", "-- --a y": "",
	} {
		if got := FlagValue(strings.Fields(line), "--a", "--old"); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// The directory is the one that the normal path uses, however it is named.
func TestCacheDirMatchesCachePackage(t *testing.T) {
	paths := []string{
		"", "/a", "/a//b/../c/", "~", "~/c", "~//c/", "~somebody", "c", "./c", "../c", ".",
	}
	t.Cleanup(func() { xdg.Reload() }) // runs after the variables are restored
	for _, home := range []string{"/home/somebody", "/home//somebody/", ""} {
		for _, xdgHome := range []string{"", "/var/cache", "/var//cache/.", "relative"} {
			t.Setenv("HOME", home)
			t.Setenv("XDG_CACHE_HOME", xdgHome)
			xdg.Reload()
			for _, path := range paths {
				if home == "" && strings.HasPrefix(path, "~") {
					continue
				}
				if got, want := cacheDir(path), cache.ResolveDir(path); got != want {
					t.Errorf("%q with HOME=%q and XDG_CACHE_HOME=%q: %s, want %s",
						path, home, xdgHome, got, want)
				}
			}
		}
	}
}

func TestUnreadableInputMeansNoRun(t *testing.T) {
	dir := t.TempDir()
	pipe, empty := filepath.Join(dir, "pipe"), filepath.Join(dir, "empty")
	large := filepath.Join(dir, "large")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	tooLarge := strings.Repeat("x", maxInputFile+1)
	for file, content := range map[string]string{empty: " \n", large: tooLarge} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{pipe, empty, large, dir, filepath.Join(dir, "none")} {
		if newRun([]string{"--federated-token-file", file}, nil) != nil {
			t.Errorf("%s as the federated token: a run", file)
		}
		r := newRun(withTokenFile(t, nil, []string{caFileVariable + "=" + file}))
		if r != nil && file != empty {
			t.Errorf("%s as the token proxy's CA: a run", file)
		}
	}
	if newRun(nil, nil) != nil {
		t.Error("a run without a federated token")
	}
	if got, _ := (*Run)(nil).load(time.Now()); got != nil {
		t.Errorf("a nil run has the answer %q", got)
	}
}

// Runs that differ in an argument or in a listed variable have different identities. Runs that
// differ in other variables or in the order of variables have the same.
func FuzzIdentity(f *testing.F) {
	f.Add("--client-id\x00c", "AZURE_CLIENT_ID=x", "--client-id\x00c", "AZURE_CLIENT_ID=y")
	f.Add("x\x00AZURE_CLIENT_ID=y", "", "x", "AZURE_CLIENT_ID=y")
	f.Add("1\x00x", "", "x", "")
	f.Add("x", "AZURE_PASSWORD=a", "x", "AZURE_PASSWORD=b")
	f.Add("x", "AZURE_PASSWORD=a", "x", "")
	f.Add("", "AZURE_CLIENT_ID=x\x00PATH=1\x00AKSLOGIN_X=1", "", "AKSLOGIN_X=1\x00AZURE_CLIENT_ID=x\x00PATH=2\x00AZURE_TENANT_ID=")
	f.Add("x", "AZURE_NEW_=a", "x", "AZURE_NEW_=b")
	f.Add("x\x00--", "", "--y", "")
	f.Fuzz(func(t *testing.T, args1, env1, args2, env2 string) {
		if slices.Contains(strings.Split(args1+"\x00"+args2, "\x00"), "--") {
			t.Skip("FlagValue looks for no flag behind --, so it finds no federated token")
		}
		named, _ := withTokenFile(t, nil, nil)
		newFuzzRun := func(args, environ string) (*Run, []string, map[string]string) {
			all := slices.Concat(strings.Split(args, "\x00"), named)
			lines, counted := fuzzEnviron(environ)
			return newRun(all, lines), all, counted
		}
		r1, all1, counted1 := newFuzzRun(args1, env1)
		r2, all2, counted2 := newFuzzRun(args2, env2)
		if r1 == nil || r2 == nil {
			t.Fatal("no run")
		}
		if err := storeContent(r1, []byte("sixteen bytes....and more")); err != nil {
			t.Fatal(err)
		}
		same := slices.Equal(all1, all2) && maps.Equal(counted1, counted2)
		if _, err := r2.box.Get(r2.dir, sealed.WarmStartSuffix); (err == nil) != same {
			t.Errorf("%q %q and %q %q: the same identity is %v",
				args1, env1, args2, env2, err == nil)
		}
	})
}

// fuzzEnviron returns the variables for newRun, and those that must tell identities apart.
// Variables that name the cache directory or the CA's file are left out.
func fuzzEnviron(environ string) (lines []string, counted map[string]string) {
	counted = map[string]string{}
	for _, line := range strings.Split(environ, "\x00") {
		name, value, _ := strings.Cut(line, "=")
		if _, twice := counted[name]; twice || name == caFileVariable ||
			strings.HasSuffix(name, "_DIR") || name == "KUBECACHEDIR" {
			continue
		}
		lines = append(lines, line)
		if value == "" || !envvar.InKey(name) {
			continue
		}
		if envvar.Secret(name) {
			value = "set"
		}
		counted[name] = value
	}
	return lines, counted
}
