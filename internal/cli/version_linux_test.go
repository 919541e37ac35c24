package cli

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The variable that a release sets keeps its name: the linker ignores a name that is not there.
func TestVersionIsSetAtLinkTime(t *testing.T) {
	if testing.Short() {
		t.Skip("links the program")
	}
	program := filepath.Join(t.TempDir(), "akslogin.exe")
	link := exec.Command("go", "build", "-ldflags", "-s -w -X github.com/akslogin/akslogin/internal/cli.version=v1.2.3", "-o", program, ".")
	link.Dir = repository
	if out, err := link.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "akslogin v1.2.3\n") {
		t.Errorf("%s: %v", out, err)
	}
}
