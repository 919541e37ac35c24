package examples

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/stanza"
	"k8s.io/client-go/tools/clientcmd"
)

// TestExampleKubeconfig checks that client-go loads the kubeconfigs in this directory, and that
// akslogin accepts the arguments of their exec configs. Other tests check the subdirectories.
func TestExampleKubeconfig(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" || filepath.Dir(path) != "." {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// The placeholder for the CA is not base64, so it becomes the value of another field.
		const caKey, otherKey = "certificate-authority-data: <", "tls-server-name: <"
		config, err := clientcmd.Load(bytes.ReplaceAll(raw, []byte(caKey), []byte(otherKey)))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for name, user := range config.AuthInfos {
			checked++
			e := user.Exec
			if e.Command != "akslogin" || e.InteractiveMode == "" || e.InstallHint == "" {
				t.Errorf("%s: user %s: %+v", path, name, e)
			}
			if _, err := stanza.ReadArgs(&kubeconfig.Exec{Args: e.Args}); err != nil {
				t.Errorf("%s: user %s: %v", path, name, err)
			}
		}
		return nil
	})
	if err != nil || checked == 0 {
		t.Errorf("checked %d users, %v", checked, err)
	}
}
