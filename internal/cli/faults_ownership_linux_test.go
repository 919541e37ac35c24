package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/cache/sealed"
)

// unprivilegedUID is the ID of a user who owns no files.
const unprivilegedUID = 65534

// TestForeignOwnedCacheFiles checks that root's files in another user's cache, as sudo leaves them,
// cost exchanges at most, and are replaced where the owner of the folder may do so.
func TestForeignOwnedCacheFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing owners needs root")
	}
	setpriv := lookPath(t, "setpriv")
	f := newFaultTest(t)
	// Only this user can read the folders of tests. What the other user needs is copied to a public
	// folder.
	public, err := os.MkdirTemp("", "akslogin-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(public) })
	if err := os.Chmod(public, 0o755); err != nil {
		t.Fatal(err)
	}
	publish := func(path string, mode os.FileMode) string {
		raw, err := os.ReadFile(path)
		to := filepath.Join(public, filepath.Base(path))
		if err = errors.Join(err, os.WriteFile(to, raw, mode)); err != nil {
			t.Fatal(err)
		}
		return to
	}
	f.program = publish(f.program, 0o755)
	f.token = publish(f.token, 0o644)
	f.entra.CAFile = publish(f.entra.CAFile, 0o644)

	for name, test := range map[string]ownershipTest{
		"nothing":         {change: func(*testing.T, string) {}},
		"lock":            {corrupt: true, change: chownToRoot, glob: "*.lock", asks: [2]int{1, 0}},
		"entry":           {change: chownToRoot, glob: "*.sealed", asks: [2]int{1, 0}},
		"everything":      {change: chownToRoot, glob: "*", asks: [2]int{1, 0}},
		"folder":          {change: chownToRoot, asks: [2]int{1, 0}}, // the temporary folder serves
		"immutable lock":  {corrupt: true, change: makeImmutable, glob: "*.lock", asks: [2]int{1, 0}},
		"immutable entry": {corrupt: true, change: makeImmutable, glob: "*.sealed", asks: [2]int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			home := filepath.Join(public, strings.ReplaceAll(name, " ", "-"))
			err := os.Mkdir(home, 0o700)
			err = errors.Join(err, os.Chown(home, unprivilegedUID, unprivilegedUID))
			if err != nil {
				t.Fatal(err)
			}
			test.run(t, f, setpriv, home)
		})
	}
}

// ownershipTest changes files of a cache between logins.
type ownershipTest struct {
	corrupt bool                            // the entries
	change  func(t *testing.T, path string) // the files that glob matches
	glob    string                          // in the cache folder; "": the folder itself
	asks    [2]int                          // the token requests of the next two runs
}

func (test ownershipTest) run(t *testing.T, f faultTest, setpriv, home string) {
	f.loginUnprivileged(t, setpriv, home)
	if test.corrupt {
		corruptEntries(t, cacheDir(home))
	}
	paths, err := filepath.Glob(filepath.Join(cacheDir(home), test.glob))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		test.change(t, path)
	}
	for i, want := range test.asks {
		f.entra.ResetCounters()
		f.loginUnprivileged(t, setpriv, home)
		if got := f.entra.TokenRequests(); got != want {
			t.Errorf("run %d sent %d token requests, want %d", i+1, got, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cacheDir(home), "*.tmp")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// loginUnprivileged logs in as an unprivileged user. It removes warm-start entries first, since a
// run that they answer does not read the entry.
func (f faultTest) loginUnprivileged(t *testing.T, setpriv, home string) {
	t.Helper()
	warmStarts, _ := filepath.Glob(filepath.Join(cacheDir(home), "*"+sealed.WarmStartSuffix))
	for _, path := range warmStarts {
		os.Remove(path)
	}
	id := strconv.Itoa(unprivilegedUID)
	command := []string{setpriv, "--reuid", id, "--regid", id, "--clear-groups"}
	result, err := f.run(home, append(command, f.command()...)...)
	if err = errors.Join(err, f.checkSuccess(result)); err != nil {
		t.Fatal(err)
	}
}

func chownToRoot(t *testing.T, path string) {
	t.Helper()
	if err := os.Chown(path, 0, 0); err != nil {
		t.Fatal(err)
	}
}

func makeImmutable(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		t.Skipf("no immutable files here: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("chattr", "-i", path).Run() })
}

// corruptEntries makes the entries in a cache folder invalid.
func corruptEntries(t *testing.T, folder string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.sealed"))
	for _, path := range paths {
		err = errors.Join(err, os.WriteFile(path, []byte("nonsense"), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}
