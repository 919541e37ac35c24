package cli

import (
	"slices"
	"testing"

	"github.com/alecthomas/kong"
)

// getTokenFlags returns get-token's flags by name and alias.
func getTokenFlags(t *testing.T) map[string]*kong.Flag {
	t.Helper()
	flags := map[string]*kong.Flag{}
	for _, command := range grammarModel(t).Leaves(false) {
		if command.Name != "get-token" {
			continue
		}
		for _, f := range slices.Concat(command.AllFlags(false)...) {
			for _, name := range append(f.Aliases, f.Name) {
				flags[name] = f
			}
		}
	}
	return flags
}

// kubeloginFlags are the flags of kubelogin 0.2.21's get-token, the hidden one included: name and
// short form.
var kubeloginFlags = map[string]string{
	"authority-host": "", "azure-pipelines-service-connection-id": "", "cache-dir": "", "client-certificate": "", "client-certificate-password": "",
	"client-id": "", "client-secret": "", "disable-environment-override": "", "disable-instance-discovery": "", "environment": "e",
	"federated-token-file": "", "help": "h", "identity-resource-id": "", "legacy": "", "login": "l", "login-hint": "", "password": "",
	"pop-claims": "", "pop-enabled": "", "redirect-url": "", "server-id": "", "subscription": "s", "tenant-id": "t", "timeout": "",
	"use-azurerm-env-vars": "", "username": "", "token-cache-dir": "", "logtostderr": "", "v": "v",
}

func TestKubeloginFlagsAreAccepted(t *testing.T) {
	flags := getTokenFlags(t)
	for name, short := range kubeloginFlags {
		f := flags[name]
		if f == nil {
			t.Errorf("no flag --%s", name)
		} else if short != "" && string(f.Short) != short {
			t.Errorf("--%s has the short form %q, want %q", name, f.Short, short)
		}
	}
}
