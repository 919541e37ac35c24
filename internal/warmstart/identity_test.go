//go:build unix

package warmstart

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrg/xdg"
	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/cache/sealed"
)

// withTokenFile is a command line and an environment with a federated token in a file, as of wants
// them.
func withTokenFile(t testing.TB, args, environment []string) (withToken []string, env []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" a.b.c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return append([]string{"--federated-token-file", file, "--cache-dir", filepath.Dir(file)}, args...), environment
}

func TestFlagValue(t *testing.T) {
	for line, want := range map[string]string{
		"": "", "--a": "", "--a x": "x", "--a=x": "x", "--a=": "", "--a x --a=y": "y", "--a=y --a x": "x", "--b x --aa=y -a=z": "", "--old x": "x", "--a x --old y": "y", "--a=x --a": "x", "--a x -- --a y": "x", "-- --a y": "",
	} {
		if got := FlagValue(strings.Fields(line), "--a", "--old"); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// The folder is the one that the rest of the program uses, however it is named.
func TestCacheDirMatchesCachePackage(t *testing.T) {
	t.Cleanup(func() { xdg.Reload() }) // when the variables are again what they were
	for _, home := range []string{"/home/somebody", "/home//somebody/", ""} {
		for _, xdgHome := range []string{"", "/var/cache", "/var//cache/.", "relative"} {
			t.Setenv("HOME", home)
			t.Setenv("XDG_CACHE_HOME", xdgHome)
			xdg.Reload()
			for _, named := range []string{"", "/a", "/a//b/../c/", "~", "~/c", "~//c/", "~somebody", "c", "./c", "../c", "."} {
				if got, want := cacheDir(named), cache.ResolveDir(named); got != want && (home != "" || !strings.HasPrefix(named, "~")) {
					t.Errorf("%q where HOME=%q and XDG_CACHE_HOME=%q: %s, want %s", named, home, xdgHome, got, want)
				}
			}
		}
	}
}

func TestVariableNamesAreSorted(t *testing.T) {
	if !slices.IsSorted(variableNames) {
		t.Error("they are looked up by halves")
	}
}

func TestUnreadableInputMeansNoRun(t *testing.T) {
	dir := t.TempDir()
	pipe, empty, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "empty"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{empty: " \n", large: strings.Repeat("x", maxInputFile+1)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{pipe, empty, large, dir, filepath.Join(dir, "none")} {
		if m := newRun([]string{"--federated-token-file", file}, nil); m != nil {
			t.Errorf("%s: a memo", file)
		}
		if m := newRun(withTokenFile(t, nil, []string{caFileVariable + "=" + file})); m != nil && file != empty {
			t.Errorf("a token proxy's CA in %s: a memo", file)
		}
	}
	if m := newRun(nil, nil); m != nil {
		t.Error("a memo without a federated token")
	}
	if got, _ := (*Run)(nil).load(time.Now()); got != nil {
		t.Errorf("%q", got)
	}
}

// Runs that differ in an argument or in a variable that counts have different memos; in other
// variables and in their order, the same.
func FuzzIdentity(f *testing.F) {
	f.Add("--client-id\x00c", "AZURE_CLIENT_ID=x", "--client-id\x00c", "AZURE_CLIENT_ID=y")
	f.Add("x\x00AZURE_CLIENT_ID=y", "", "x", "AZURE_CLIENT_ID=y")
	f.Add("1\x00x", "", "x", "")
	f.Add("x", "AZURE_PASSWORD=a", "x", "AZURE_PASSWORD=b")
	f.Add("x", "AZURE_PASSWORD=a", "x", "")
	f.Add("", "AZURE_CLIENT_ID=x\x00PATH=1\x00AKSLOGIN_X=1", "", "AKSLOGIN_X=1\x00AZURE_CLIENT_ID=x\x00PATH=2\x00AZURE_TENANT_ID=")
	f.Add("x\x00--", "", "--y", "")
	f.Fuzz(func(t *testing.T, args1, env1, args2, env2 string) {
		if slices.Contains(strings.Split(args1+"\x00"+args2, "\x00"), "--") {
			t.Skip("no flag is looked for behind that, and so no federated token found")
		}
		args, _ := withTokenFile(t, nil, nil)
		read := func(more, environment string) (*Run, []string, map[string]string) {
			all, counted := slices.Concat(strings.Split(more, "\x00"), args), map[string]string{}
			var lines []string
			for _, line := range strings.Split(environment, "\x00") {
				name, value, _ := strings.Cut(line, "=")
				if _, twice := counted[name]; twice || name == caFileVariable || strings.HasSuffix(name, "_DIR") || name == "KUBECACHEDIR" {
					continue
				}
				lines = append(lines, line)
				if _, known := slices.BinarySearch(variableNames, name); value != "" && (known || strings.HasPrefix(name, ownPrefix)) {
					if strings.HasSuffix(name, "SECRET") || strings.HasSuffix(name, "PASSWORD") {
						value = "set"
					}
					counted[name] = value
				}
			}
			return newRun(all, lines), all, counted
		}
		m1, all1, counted1 := read(args1, env1)
		m2, all2, counted2 := read(args2, env2)
		if m1 == nil || m2 == nil {
			t.Fatal("no memo")
		}
		same := slices.Equal(all1, all2) && len(counted1) == len(counted2)
		for name, value := range counted1 {
			same = same && counted2[name] == value
		}
		if err := storeContent(m1, []byte("sixteen bytes....and more")); err != nil {
			t.Fatal(err)
		}
		if _, err := m2.box.Get(m2.dir, sealed.WarmStartSuffix); (err == nil) != same {
			t.Errorf("%q %q and %q %q: the same memo is %v", args1, env1, args2, env2, err == nil)
		}
	})
}
