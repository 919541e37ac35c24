package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func TestPaths(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	standard := filepath.Join(home, ".kube", "config")
	list := func(paths ...string) string {
		return strings.Join(paths, string(filepath.ListSeparator))
	}
	for _, c := range []struct {
		explicit, variable string
		want               []string
	}{
		{"", "", []string{standard}},
		{"x", list("a", "b"), []string{"x"}},
		{"", "a", []string{"a"}},
		{"", list("a", "", "b", "a", "./a"), []string{"a", "b", "./a"}},
		{"", list("", ""), nil},
	} {
		environment := map[string]string{"KUBECONFIG": c.variable}
		got := Paths(c.explicit, func(name string) string { return environment[name] })
		if !slices.Equal(got, c.want) {
			t.Errorf("%q, %q: %q", c.explicit, c.variable, got)
		}
		if c.explicit != "" {
			continue
		}
		t.Setenv("KUBECONFIG", c.variable)
		rules := clientcmd.NewDefaultClientConfigLoadingRules().Precedence
		rules = slices.DeleteFunc(rules, func(path string) bool { return path == "" })
		if c.variable != "" && !slices.Equal(rules, got) {
			t.Errorf("%q: %q; client-go %q", c.variable, got, rules)
		}
	}
}

// On Windows the first folder of a list that has a kubeconfig is the home, as for kubectl.
func TestPathsOfAnotherHome(t *testing.T) {
	if runtime.GOOS != "windows" {
		t.Skip("$HOME alone names the home folder")
	}
	home, profile := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", profile)
	for _, folder := range []string{profile, home} { // home wins over profile
		path := filepath.Join(folder, ".kube", "config")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Paths("", func(string) string { return "" }); !slices.Equal(got, []string{path}) {
			t.Errorf("%q, want %s", got, path)
		}
	}
}

// writeConfig writes a file to a new directory. When the test ends, it checks that the directory
// holds no other file.
func writeConfig(t *testing.T, content string, mode fs.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask may have removed bits
		t.Fatal(err)
	}
	t.Cleanup(func() { wantFiles(t, filepath.Dir(path), "config") })
	return path
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%s holds %q, %v; want %q", dir, names, err, want)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s has %q, %v; want %q", path, got, err, want)
	}
}

func replaceAll(path, old, content string) error {
	return Replace(context.Background(), path, []byte(old), []byte(content))
}

func TestConcurrentReplaces(t *testing.T) {
	path := writeConfig(t, "\n", 0o600)
	const writers = 20
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for {
				old, err := Read(path)
				if err != nil {
					t.Error(err)
					return
				}
				err = replaceAll(path, string(old), fmt.Sprintf("%s%d\n", old, i))
				if errors.Is(err, ErrChanged) {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	all.Wait()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range writers {
		if !strings.Contains(string(content), fmt.Sprintf("\n%d\n", i)) {
			t.Errorf("%d is lost in %q", i, content)
		}
	}
}

// client-go fails while Replace's lock is held, and Replace waits while client-go's lock file
// exists.
func TestReplaceHonorsKubectlLock(t *testing.T) {
	path := writeConfig(t, "users: []\n", 0o600)
	options := clientcmd.NewDefaultPathOptions()
	options.LoadingRules.ExplicitPath = path
	config := clientcmdapi.NewConfig()
	config.AuthInfos["new"] = &clientcmdapi.AuthInfo{Token: "t"}
	unlock, err := lockFiles(context.Background(), path, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.ModifyConfig(options, *config, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("client-go returned %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if err := replaceAll(path, "users: []\n", "users: []\n# more\n"); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "users: []\n# more\n")
	if err := clientcmd.ModifyConfig(options, *config, false); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(path+".lock", nil, 0); err != nil {
		t.Fatal(err)
	}
	before, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- replaceAll(path, string(before), "after") }()
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(3 * lockPollInterval):
	}
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "after")
}

func TestReplaceTimesOutOnStaleLock(t *testing.T) {
	path := writeConfig(t, "before", 0o600)
	if err := os.WriteFile(path+".lock", nil, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockPollInterval/4)
	defer cancel()
	err := Replace(ctx, path, []byte("before"), []byte("after"))
	if !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "remove "+path+".lock") {
		t.Errorf("got %v", err)
	}
	wantFiles(t, filepath.Dir(path), "config", "config.lock")
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "before")
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	err = Replace(canceled, path, []byte("before"), []byte("after"))
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	wantContent(t, path, "before")
}

func TestReplaceChangedFile(t *testing.T) {
	path := writeConfig(t, "changed", 0o600)
	err := replaceAll(path, "before", "after")
	if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	wantContent(t, path, "changed")
}

// A program that does not take the lock may write between the last comparison and the rename.
func TestSwapPutsChangeBack(t *testing.T) {
	for _, content := range []string{"before", "changed"} {
		path := writeConfig(t, content, 0o600)
		temp := path + ".tmp"
		if err := os.WriteFile(temp, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := exchange(temp, path); err != nil {
			os.Remove(temp)
			t.Skip("files cannot be exchanged here: ", err)
		}
		if err := os.WriteFile(temp, []byte("after"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := swap(temp, path, []byte("before"))
		if content == "changed" {
			if err != ErrChanged {
				t.Errorf("got %v", err)
			}
			wantContent(t, path, "changed")
			continue
		}
		if err != nil {
			t.Error(err)
		}
		wantContent(t, path, "after")
		wantContent(t, temp, "before") // for the caller to remove
		os.Remove(temp)
	}
}

func TestReplaceKeepsMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o660, 0o777} {
		path := writeConfig(t, "before", mode)
		if err := replaceAll(path, "before", "after"); err != nil {
			t.Fatal(err)
		}
		wantContent(t, path, "after")
		fi, err := os.Stat(path)
		if runtime.GOOS != "windows" && (err != nil || fi.Mode() != mode) {
			t.Errorf("%v became %v, %v", mode, fi.Mode(), err)
		}
	}
}

func TestRefusedWrites(t *testing.T) {
	readOnly := writeConfig(t, "before", 0o400)
	dir := t.TempDir()
	large := filepath.Join(t.TempDir(), "large")
	err := errors.Join(os.WriteFile(large, nil, 0o600), os.Truncate(large, maxSize+1))
	if err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "config")
	for _, c := range []struct{ path, update, write string }{
		{readOnly, "is read-only (mode 04", "is read-only (mode 04"},
		{dir, "is not a regular file", "exists and is not a regular file; choose another path"},
		{absent, "config: ", ""},
		{filepath.Join(absent, "config"), "config: ", ""},
		{large, "is larger than 8 MiB", ""},
	} {
		err := replaceAll(c.path, "before", "after")
		if err == nil || !strings.Contains(err.Error(), c.update) ||
			!strings.Contains(err.Error(), c.path) {
			t.Errorf("update %s: %v", c.path, err)
		}
		if c.write == "" {
			continue
		}
		err = WriteFile(c.path, []byte("after"))
		if err == nil || !strings.Contains(err.Error(), c.write) {
			t.Errorf("write %s: %v", c.path, err)
		}
	}
	wantContent(t, readOnly, "before")
	wantFiles(t, dir)
	wantFiles(t, filepath.Dir(absent))
	wantFiles(t, filepath.Dir(large), "large")
}

func TestSymlinks(t *testing.T) {
	path := writeConfig(t, "before", 0o640)
	links := t.TempDir()
	link := filepath.Join(links, "link")
	relative, err := filepath.Rel(links, path)
	if err != nil {
		t.Fatal(err)
	}
	old := "before"
	for _, target := range []string{path, relative} {
		err := os.Symlink(target, link)
		if err == nil {
			_, err = os.Lstat(link) // wine 8 says that it made the link, and did not
		}
		if err != nil {
			t.Skip("this system has no links: ", err)
		}
		unlock, err := lockFiles(context.Background(), link, path)
		if err != nil {
			t.Fatal(err)
		}
		wantFiles(t, links, "link", "link.lock") // the lock file that kubectl creates
		wantFiles(t, filepath.Dir(path), "config", "config.lock")
		if err := unlock(); err != nil {
			t.Fatal(err)
		}
		if err := replaceAll(link, old, target); err != nil {
			t.Fatal(err)
		}
		old = target
		wantContent(t, path, target)
		if got, err := os.Readlink(link); err != nil || got != target {
			t.Errorf("the link points to %q, %v", got, err)
		}
		err = WriteFile(link, nil)
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("WriteFile replaced a link: %v", err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	if fi, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && fi.Mode() != 0o640 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	wantFiles(t, links)
}

func TestWriteFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "directory")
	path := filepath.Join(dir, "config")
	for _, content := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		wantContent(t, path, content)
		wantFiles(t, dir, "config")
		if fi, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && fi.Mode() != 0o600 {
			t.Errorf("mode %v, %v", fi.Mode(), err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
