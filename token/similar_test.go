package token

import (
	"strings"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	names := append(MethodNames(), "doctor", "convert-kubeconfig", "kubeconfig", "cache",
		"tenant-id", "client-secret", "client-id", "cache-dir", "v")
	for s, want := range map[string]string{
		"doctr": "doctor", "dcotor": "doctor", "Doctor": "doctor", "convert": "convert-kubeconfig",
		"convrt-kubeconfig": "convert-kubeconfig", "kubeconfg": "kubeconfig",
		"workload-identity": "workloadidentity", "workloadidentiy": "workloadidentity",
		"device-code": "devicecode", "device_code": "devicecode", "azure-cli": "azurecli",
		"tenant": "tenant-id", "client_id": "client-id", "clientId": "client-id", "client": "client-id",
		"": "", "x": "", "nonsense": "", "passport": "", "oidc-issuer-url": "", "tocken": "", "h": "",
		strings.Repeat("x", 1000): "",
	} {
		if want != "" {
			want = "did you mean " + want + "?"
		}
		if got := DidYouMean(s, "", names); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
