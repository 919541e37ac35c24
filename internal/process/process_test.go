package process

import "testing"

func TestNameOf(t *testing.T) {
	for path, want := range map[string]string{
		"akslogin": "akslogin", "/usr/local/bin/kubelogin": "kubelogin", "./aks_login-2.1": "aks_login-2.1",
		`C:\Program Files\KubeLogin.EXE`: "KubeLogin", "kubectl-akslogin.exe": "kubectl-akslogin",
		"": "akslogin", "/": "akslogin", ".exe": ".exe", "-akslogin": "akslogin",
		"a; rm -rf x": "akslogin", "/bin/évil": "akslogin", "a\x1b[31m": "akslogin",
	} {
		if got := nameOf(path); got != want {
			t.Errorf("nameOf(%q) is %q, want %q", path, got, want)
		}
	}
}
