// Package incumbent has the program that this one is compared with: Azure/kubelogin.
package kubelogin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Version is the one that is compared with.
const Version = "v0.2.21"

// Program is kubelogin, static as its releases are, built from the Go module proxy where it has not
// been before.
func Program() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "akslogin-test", "kubelogin-"+Version)
	program := filepath.Join(folder, "kubelogin")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	install := exec.Command("go", "install", "github.com/Azure/kubelogin@"+Version)
	install.Dir = os.TempDir() // in no module
	install.Env = append(os.Environ(), "GOBIN="+folder, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("kubelogin cannot be built here: %w\n%s", err, out)
	}
	return program, nil
}
