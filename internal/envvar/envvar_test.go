package envvar

import (
	"testing"
)

func TestInKey(t *testing.T) {
	for name, want := range map[string]bool{
		"AZURE_CLIENT_ID": true, "AZURE_": true, "AKSLOGIN_LATER_ADDED": true, "BROWSER": true,
		"SYSTEM_ACCESSTOKEN": true, "https_proxy": true,
		"": false, "_": false, "AZURE": false, "azure_client_id": false, "MY_AZURE_CLIENT_ID": false,
		"BROWSERS": false, "SYSTEM_TASKINSTANCEID": false, "XDG_SESSION_ID": false, "PATH": false,
	} {
		if got := InKey(name); got != want {
			t.Errorf("InKey(%q) is %v", name, got)
		}
	}
}

func TestSecret(t *testing.T) {
	for name, want := range map[string]bool{
		"AZURE_CLIENT_SECRET": true, "MSI_SECRET": true, "AZURE_PASSWORD": true,
		"AZURE_CLIENT_CERTIFICATE_PASSWORD": true, "AZURE_CLIENT_ID": false, "AZURE_FEDERATED_TOKEN_FILE": false,
		"ARM_OIDC_TOKEN": false,
	} {
		if got := Secret(name); got != want {
			t.Errorf("Secret(%q) is %v", name, got)
		}
	}
}
