package doctor

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/util/homedir"

	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/token"
)

// kuberc is what kubectl's preferences say about plugins.
type kuberc struct {
	Policy    string `yaml:"credentialPluginPolicy"`
	Allowlist []struct {
		Name    string `yaml:"name"`
		Command string `yaml:"command"`
	} `yaml:"credentialPluginAllowlist"`
}

// checkPluginPolicy looks at kubectl's preferences, which can forbid plugins since Kubernetes 1.35.
// https://kubernetes.io/docs/reference/kubectl/kuberc/#credential-plugin-policy
func checkPluginPolicy(c execConfig) token.Finding {
	found := token.Finding{Status: token.StatusOK, Check: "kuberc"}
	_, command, _ := c.findCommand()
	entry := "credentialPluginAllowlist: [{name: " + command + "}]"
	path := kubercPath()
	if path == "" {
		found.Status, found.Text = token.StatusInfo, "it is switched off, so kubectl runs any plugin"
		return found
	}
	raw, err := kubeconfig.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		found.Status = token.StatusInfo
		found.Text = "the file does not exist, so kubectl runs any plugin; an allow-list would " +
			"need " + entry
		return found
	}
	var rc kuberc
	if err == nil {
		err = yaml.Unmarshal(raw, &rc)
	}
	if err != nil {
		found.Status = token.StatusWarning
		found.Text = path + " cannot be read as YAML; kubectl reports this too"
		return found
	}
	found.Text = path + ": " + cmp.Or(rc.Policy, "no policy, so kubectl runs any plugin")
	switch {
	case rc.Policy == "DenyAll":
		found.Status = token.StatusError
		found.Todo = "kubectl runs no plugin: set credentialPluginPolicy: Allowlist, with " + entry
	case rc.Policy == "Allowlist" && !rc.allows(c.user.Exec.Command):
		found.Status = token.StatusError
		found.Todo = "kubectl does not run this plugin: add " + entry
	case rc.Policy == "Allowlist":
		found.Text += " contains " + command
	}
	return found
}

// kubercPath returns the file of kubectl's preferences, "" if they are switched off.
func kubercPath() string {
	path := os.Getenv("KUBERC")
	if path == "off" || os.Getenv("KUBECTL_KUBERC") == "false" {
		return ""
	}
	if home := homedir.HomeDir(); path == "" && home != "" {
		path = filepath.Join(home, ".kube", "kuberc")
	}
	return path
}

// allows reports whether the allow-list contains the command, by name or as the same program.
func (rc kuberc) allows(command string) bool {
	program, _ := exec.LookPath(command) // "" for a command that is not found
	for _, entry := range rc.Allowlist {
		allowed := cmp.Or(entry.Command, entry.Name)
		path, _ := exec.LookPath(allowed)
		if allowed == command || path != "" && path == program {
			return true
		}
	}
	return false
}
