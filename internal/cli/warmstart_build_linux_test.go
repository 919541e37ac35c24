package cli

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOtherBuildHasNoStoredAnswer checks that a run does not print the stored answer of another
// build, although the file has the same path, size and modification time, with and without /proc.
func TestOtherBuildHasNoStoredAnswer(t *testing.T) {
	f := newFaultTest(t)
	build, err := os.ReadFile(f.program)
	if err != nil {
		t.Fatal(err)
	}
	id, err := exec.Command("go", "tool", "buildid", f.program).Output()
	if id = bytes.TrimSpace(id); err != nil || bytes.Count(build, id) == 0 {
		t.Fatal(err, string(id))
	}
	otherID := bytes.Clone(id)
	otherID[len(id)-1] ^= 1
	other := bytes.ReplaceAll(build, id, otherID)
	for name, chroot := range map[string]bool{"with /proc": false, "without /proc": true} {
		t.Run(name, func(t *testing.T) {
			if chroot && os.Geteuid() != 0 {
				t.Skip("changing the root directory needs root")
			}
			b := buildTest{f, t.TempDir(), chroot}
			for _, step := range []struct {
				program []byte
				answer  bool // the stored one is printed
			}{{build, false}, {build, true}, {other, false}, {other, true}, {build, true}} {
				if got := b.isWarm(t, step.program); got != step.answer {
					t.Errorf("build %t printed a stored answer: %v", bytes.Equal(step.program, build), got)
				}
			}
		})
	}
}

// buildTest runs builds of the program, one after the other at the same path.
type buildTest struct {
	faultTest
	dir    string
	chroot bool // dir is the root directory, so that there is no /proc
}

// isWarm runs a login with a build, and reports whether it printed a stored answer.
func (b buildTest) isWarm(t *testing.T, build []byte) bool {
	t.Helper()
	at := func(name string) string { return filepath.Join(b.dir, name) }
	os.Remove(at("akslogin"))
	err := errors.Join(os.WriteFile(at("akslogin"), build, 0o700),
		os.Chtimes(at("akslogin"), time.Time{}, time.Unix(1, 0)))
	for name, from := range map[string]string{"token": b.token, "ca.pem": b.entra.CAFile} {
		raw, readErr := os.ReadFile(from)
		err = errors.Join(err, readErr, os.WriteFile(at(name), raw, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	root := b.dir
	if b.chroot {
		root = "/"
	}
	b.token = filepath.Join(root, "token")
	cmd := exec.Command(filepath.Join(root, "akslogin"), b.args()...)
	cmd.Dir, cmd.Env = root, []string{
		"HOME=" + root, "HTTPS_PROXY=" + b.entra.ProxyURL,
		"SSL_CERT_FILE=" + filepath.Join(root, "ca.pem"), "GODEBUG=inittrace=1",
	}
	if b.chroot {
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: b.dir}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err = errors.Join(err, b.checkCredential(string(stdout))); err != nil {
		t.Fatal(err, stderr.String())
	}
	return !strings.Contains(stderr.String(), "\ninit net/http ")
}
