package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// buildDir is the folder that buildProgram builds the program in. TestMain removes it.
var buildDir string

// buildProgram builds the program once, as it is shipped.
var buildProgram = sync.OnceValue(func() error {
	var err error
	if buildDir, err = os.MkdirTemp("", "akslogin-test"); err != nil {
		return err
	}
	cmd := exec.Command("make", "build", "BIN="+buildDir)
	cmd.Dir = repository
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("make build: %w\n%s", err, out)
	}
	return nil
})

// programPath returns the path of the program as it is shipped.
func programPath(t *testing.T) string {
	t.Helper()
	if err := buildProgram(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(buildDir, "akslogin")
}

// skipUnlessRequired skips a test whose external program is missing. It fails the test if
// AKSLOGIN_TEST_CLIENTS=required says that all of them are installed.
func skipUnlessRequired(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("AKSLOGIN_TEST_CLIENTS") == "required" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
