package examples

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/stanza"
	"k8s.io/client-go/tools/clientcmd"
)

// The README's kubeconfig loads, and its stanza is one that this program's grammar takes. The
// folders beside it have tests of their own.
func TestExampleKubeconfig(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" || filepath.Dir(path) != "." {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		config, err := clientcmd.Load([]byte(strings.ReplaceAll(string(raw), "certificate-authority-data: <", "tls-server-name: <")))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for name, user := range config.AuthInfos {
			seen++
			if user.Exec.Command != "akslogin" || user.Exec.InteractiveMode == "" || user.Exec.InstallHint == "" {
				t.Errorf("%s: user %s: %+v", path, name, user.Exec)
			}
			if _, err := stanza.ReadArgs(&kubeconfig.Exec{Args: user.Exec.Args}); err != nil {
				t.Errorf("%s: user %s: %v", path, name, err)
			}
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("%d stanzas, %v", seen, err)
	}
}
