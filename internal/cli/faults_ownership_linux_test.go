package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// unprivilegedUID is an unprivileged user, who has no file anywhere.
const unprivilegedUID = 65534

// Files of root's in the cache of somebody else, as sudo leaves them, cost exchanges at most. Those
// that their folder's owner may replace are replaced.
func TestForeignOwnedCacheFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("owning files of others needs root")
	}
	setpriv := lookPath(t, "setpriv")
	f := newFaultTest(t)
	// Everything that the stranger has to reach stands in a folder of its own: those of tests are
	// for one user.
	public, err := os.MkdirTemp("", "akslogin-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(public) })
	if err := os.Chmod(public, 0o755); err != nil {
		t.Fatal(err)
	}
	reach := func(path string, mode os.FileMode) string {
		raw, err := os.ReadFile(path)
		to := filepath.Join(public, filepath.Base(path))
		if err = errors.Join(err, os.WriteFile(to, raw, mode)); err != nil {
			t.Fatal(err)
		}
		return to
	}
	f.program, f.token, f.entra.CAFile = reach(f.program, 0o755), reach(f.token, 0o644), reach(f.entra.CAFile, 0o644)

	owned := func(uid int, suffix string) func(folder string) error {
		return func(folder string) error {
			paths, err := filepath.Glob(filepath.Join(folder, "*"+suffix))
			if suffix == "" {
				paths = []string{folder}
			}
			for _, path := range paths {
				err = errors.Join(err, os.Chown(path, uid, uid))
			}
			return err
		}
	}
	immutable := func(suffix string) func(folder string) error {
		return func(folder string) error {
			paths, err := filepath.Glob(filepath.Join(folder, "*"+suffix))
			for _, path := range paths {
				if out, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
					t.Skipf("no immutable files here: %v %s", err, out)
				}
				t.Cleanup(func() { exec.Command("chattr", "-i", path).Run() })
			}
			return err
		}
	}
	for name, c := range map[string]struct {
		spoil func(folder string) error
		asks  [2]int // of the two next runs
	}{
		"nothing":         {func(string) error { return nil }, [2]int{0, 0}},
		"lock":            {func(folder string) error { return errors.Join(corruptEntries(folder), owned(0, ".lock")(folder)) }, [2]int{1, 0}},
		"entry":           {owned(0, ".sealed"), [2]int{1, 0}},
		"everything":      {owned(0, "*"), [2]int{1, 0}},
		"folder":          {owned(0, ""), [2]int{1, 1}},
		"immutable lock":  {func(folder string) error { return errors.Join(corruptEntries(folder), immutable(".lock")(folder)) }, [2]int{1, 0}},
		"immutable entry": {func(folder string) error { return errors.Join(corruptEntries(folder), immutable(".sealed")(folder)) }, [2]int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			home := filepath.Join(public, strings.ReplaceAll(name, " ", "-"))
			if err := errors.Join(os.Mkdir(home, 0o700), os.Chown(home, unprivilegedUID, unprivilegedUID)); err != nil {
				t.Fatal(err)
			}
			login := func() {
				t.Helper()
				memos, _ := filepath.Glob(filepath.Join(cacheDir(home), "*.memo"))
				for _, memo := range memos { // they tell what was printed before without the entry
					os.Remove(memo)
				}
				done, err := f.run(home, append([]string{setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups"}, f.command()...)...)
				if err = errors.Join(err, f.checkSuccess(done)); err != nil {
					t.Fatal(err)
				}
			}
			login()
			if err := c.spoil(cacheDir(home)); err != nil {
				t.Fatal(err)
			}
			for i, want := range c.asks {
				f.entra.ResetCounters()
				login()
				if got := f.entra.TokenRequests(); got != want {
					t.Errorf("run %d asked %d times, want %d", i+1, got, want)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(cacheDir(home), "*.tmp")); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// corruptEntries makes the entries in a cache worthless.
func corruptEntries(folder string) error {
	paths, err := filepath.Glob(filepath.Join(folder, "*.sealed"))
	for _, path := range paths {
		err = errors.Join(err, os.WriteFile(path, []byte("nonsense"), 0o600))
	}
	return err
}
