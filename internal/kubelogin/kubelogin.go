// Package kubelogin builds Azure/kubelogin, the program that akslogin replaces, so that tests and
// bench can compare the two.
package kubelogin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Version is the version of github.com/Azure/kubelogin that [Program] builds.
const Version = "v0.2.21"

// Program returns the path of a kubelogin executable in the user's cache directory. If it is not
// there yet, Program builds it from the Go module proxy with the go command. The executable is
// static, as the released ones are.
func Program() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "akslogin-test", "kubelogin-"+Version)
	program := filepath.Join(dir, "kubelogin")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	install := exec.Command("go", "install", "github.com/Azure/kubelogin@"+Version)
	install.Dir = os.TempDir() // outside any module
	install.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build kubelogin %s: %w\n%s", Version, err, out)
	}
	return program, nil
}
