package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// buildDir is the folder of the program as it is shipped. TestMain removes it.
var buildDir string

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

func programPath(t *testing.T) string {
	t.Helper()
	if err := buildProgram(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(buildDir, "akslogin")
}

// skipUnlessRequired skips a test for want of a client, where that is not said to be there.
func skipUnlessRequired(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("AKSLOGIN_TEST_CLIENTS") == "required" {
		t.Fatal(what)
	}
	t.Skip(what)
}
