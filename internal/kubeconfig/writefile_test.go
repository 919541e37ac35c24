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

func replaceWith(content string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(content), nil }
}

func TestConcurrentUpdates(t *testing.T) {
	path := writeConfig(t, "\n", 0o600)
	const writers = 20
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			err := Update(context.Background(), path, func(old []byte) ([]byte, error) {
				return fmt.Appendf(old, "%d\n", i), nil
			})
			if err != nil {
				t.Error(err)
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

// client-go fails while Update holds the lock, and Update waits while client-go's lock file exists.
func TestUpdateHonorsKubectlLock(t *testing.T) {
	path := writeConfig(t, "users: []\n", 0o600)
	options := clientcmd.NewDefaultPathOptions()
	options.LoadingRules.ExplicitPath = path
	config := clientcmdapi.NewConfig()
	config.AuthInfos["new"] = &clientcmdapi.AuthInfo{Token: "t"}
	err := Update(context.Background(), path, func(old []byte) ([]byte, error) {
		if err := clientcmd.ModifyConfig(options, *config, false); !errors.Is(err, fs.ErrExist) {
			t.Errorf("client-go returned %v", err)
		}
		return append(old, "# more\n"...), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "users: []\n# more\n")
	if err := clientcmd.ModifyConfig(options, *config, false); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(path+".lock", nil, 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- Update(context.Background(), path, replaceWith("after")) }()
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

func TestUpdateTimesOutOnStaleLock(t *testing.T) {
	path := writeConfig(t, "before", 0o600)
	if err := os.WriteFile(path+".lock", nil, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockPollInterval/4)
	defer cancel()
	err := Update(ctx, path, func([]byte) ([]byte, error) {
		t.Error("change was called")
		return nil, nil
	})
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
	if err := Update(canceled, path, replaceWith("after")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantContent(t, path, "before")
}

func TestUpdateReturnsCallbackError(t *testing.T) {
	path := writeConfig(t, "before", 0o600)
	want := errors.New("no")
	fail := func([]byte) ([]byte, error) { return []byte("after"), want }
	if err := Update(context.Background(), path, fail); err != want {
		t.Errorf("got %v", err)
	}
	wantContent(t, path, "before")
	func() {
		defer func() { _ = recover() }()
		_ = Update(context.Background(), path, func([]byte) ([]byte, error) { panic("no") })
	}()
	wantFiles(t, filepath.Dir(path), "config")
}

func TestUpdateSkipsUnchangedContent(t *testing.T) {
	path := writeConfig(t, "same", 0o400)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Update(context.Background(), path, replaceWith("same")); err != nil {
		t.Error(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was replaced, or %v", err)
	}
}

func TestUpdateKeepsMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o660, 0o777} {
		path := writeConfig(t, "before", mode)
		if err := Update(context.Background(), path, replaceWith("after")); err != nil {
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
		err := Update(context.Background(), c.path, replaceWith("after"))
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
	for _, target := range []string{path, relative} {
		err := os.Symlink(target, link)
		if err == nil {
			_, err = os.Lstat(link) // wine 8 says that it made the link, and did not
		}
		if err != nil {
			t.Skip("this system has no links: ", err)
		}
		err = Update(context.Background(), link, func([]byte) ([]byte, error) {
			wantFiles(t, links, "link", "link.lock") // the lock file that kubectl creates
			return []byte(target), nil
		})
		if err != nil {
			t.Fatal(err)
		}
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
