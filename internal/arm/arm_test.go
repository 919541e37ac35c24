package arm

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/akslogin/akslogin/token"
)

func TestParseResourceID(t *testing.T) {
	const subscription = "/subscriptions/44444444-dddd-4444-8888-000000000001"
	const cluster = "/providers/Microsoft.ContainerService/managedClusters/"
	for id, want := range map[string]string{ // beginning with a slash: the ID as it is sent; else a word of the refusal
		subscription + "/resourceGroups/rg" + cluster + "c":                     subscription + "/resourceGroups/rg" + cluster + "c",
		subscription + "/resourceGroups/My_Group-(1).Größe" + cluster + "A_b-9": subscription + "/resourceGroups/My_Group-(1).Größe" + cluster + "A_b-9",
		strings.ToLower(subscription+"/resourceGroups/rg"+cluster) + "c":        subscription + "/resourceGroups/rg" + cluster + "c",
		"":     "has not the form",
		"/":    "ends with a slash",
		"rg/c": "has not the form",
		strings.TrimPrefix(subscription, "/") + "/resourceGroups/rg" + cluster + "c":                           "has not the form",
		subscription + "/resourceGroups/rg" + cluster:                                                          "ends with a slash",
		subscription + "/resourceGroups/rg" + cluster + "c/":                                                   "ends with a slash",
		subscription + "/resourceGroups/rg" + cluster + "c/agentPools/p":                                       "goes on after",
		subscription + "/resourceGroups/rg" + cluster + "c?api-version=1":                                      `names the cluster "c?api-version=1"`,
		subscription + "/resourceGroups/rg" + cluster + "..":                                                   `names the cluster ".."`,
		subscription + "/resourceGroups/rg" + cluster + strings.Repeat("c", 64):                                "names the cluster",
		subscription + "/resourceGroups/.." + cluster + "c":                                                    `names the resource group ".."`,
		subscription + "/resourceGroups/a%2fb" + cluster + "c":                                                 "names the resource group",
		subscription + "/resourceGroups/" + strings.Repeat("g", 91) + cluster + "c":                            "names the resource group",
		subscription + "/resourceGroups/" + cluster + "c":                                                      `names the resource group ""`,
		"/subscriptions/production/resourceGroups/rg" + cluster + "c":                                          `names the subscription "production"`,
		"https://management.azure.com" + subscription + "/resourceGroups/rg" + cluster + "c":                   "is an address",
		"https://portal.azure.com/#@contoso.example/resource" + subscription + "/resourceGroups/rg" + cluster:  "is an address",
		"#@contoso.example/resource" + subscription + "/resourceGroups/rg" + cluster + "c/overview":            "is an address",
		subscription + "/resourceGroups/rg/providers/Microsoft.Kubernetes/ConnectedClusters/c":                 "Azure Arc",
		subscription + "/resourceGroups/rg/providers/Microsoft.ContainerService/fleets/f":                      `is of a "Microsoft.ContainerService/fleets"`,
		subscription + "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/airflow": "is of a",
	} {
		got, err := parseResourceID(id)
		if strings.HasPrefix(want, "/") {
			if err != nil || got.resourceID() != want {
				t.Errorf("%s: %q, %v", id, got.resourceID(), err)
			}
			continue
		}
		var refused *token.UsageError
		if !errors.As(err, &refused) || !strings.Contains(refused.Text, want) || refused.Hint == "" {
			t.Errorf("%s: %v, want %q", id, err, want)
		}
	}
}

func TestCredentialURLEscapesNames(t *testing.T) {
	c := credentialRequest{token.Request{}, "https://management.azure.com", managedCluster{"s", "Größe (1)", "c"}}
	const want = "https://management.azure.com/subscriptions/s/resourceGroups/Gr%C3%B6%C3%9Fe%20%281%29/providers/Microsoft.ContainerService/managedClusters/c/listClusterUserCredential?api-version=2024-09-01&format=exec"
	if got := c.url(false); got != want {
		t.Error(got)
	}
}

// No hint has a blank that nobody fills in.
func TestHintsHaveNoPlaceholders(t *testing.T) {
	c := credentialRequest{token.Request{ClientID: "id", TenantID: "tenant"}, "https://x", managedCluster{"s", "g", "c"}}
	hints := []string{}
	for _, hint := range hintsByCode {
		hints = append(hints, hint)
	}
	for _, status := range []int{401, 429, 500} {
		hints = append(hints, statusHint(token.Response{Status: status}))
	}
	for _, hint := range hints {
		if e := token.Explain(c.newError("x", hint)); e.Hint == "" || strings.ContainsAny(e.Hint, "{}") || e.Exit != token.ExitLoginFailed {
			t.Errorf("%s became %+v", hint, e)
		}
	}
}

// Whatever comes in a kubeconfig's place, it is one or an error, and an error says nothing of it
// but Azure Resource Manager's own words.
func FuzzCredentialResponse(f *testing.F) {
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ"
	f.Add(200, []byte(`{"kubeconfigs":[{"name":"clusterUser","value":"`+base64.StdEncoding.EncodeToString([]byte("clusters contexts users "+secret))+`"}]}`))
	f.Add(200, []byte(`{"kubeconfigs":[{"value":"`+secret+`"}]}`))
	f.Add(200, []byte(`{"kubeconfigs":{"value":"`+secret+`"}}`))
	f.Add(200, []byte(`{"kubeconfigs":[null,{"value":"`+secret+`"}]}`))
	f.Add(403, []byte(`{"error":{"code":"AuthorizationFailed","message":"no\u001b[31m\n"}}`))
	f.Add(500, []byte(`<html>`+secret))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		kubeconfig, err := extractKubeconfig(body)
		if (err == nil) == (len(kubeconfig) == 0) {
			t.Fatalf("%q, %v", kubeconfig, err)
		}
		if err != nil && (strings.Contains(err.Error(), secret) || len(err.Error()) > 100) {
			t.Fatal(err)
		}
		c := credentialRequest{token.Request{}, "https://x", managedCluster{"s", "g", "c"}}
		e := token.Explain(c.refusalError(token.Response{Status: status, Header: http.Header{"X-Ms-Correlation-Request-Id": {string(body)}}, Body: body}))
		if e.Text == "" || strings.ContainsFunc(e.Text+e.Hint, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(e.Text)+len(e.Hint) > 2000 {
			t.Fatalf("%+v", e)
		}
	})
}

// A resource ID that is taken is one: it reads the same again, and makes an address of Azure
// Resource Manager's and nobody else's.
func FuzzResourceID(f *testing.F) {
	f.Add("/subscriptions/77777777-aaaa-4444-8888-000000000001/resourceGroups/aks/providers/Microsoft.ContainerService/managedClusters/aks")
	f.Add("/SUBSCRIPTIONS/77777777-aaaa-4444-8888-000000000001/resourcegroups/ä(1)/providers/microsoft.containerservice/managedclusters/a_b")
	f.Add("/subscriptions/77777777-aaaa-4444-8888-000000000001/resourceGroups/../providers/Microsoft.ContainerService/managedClusters/a")
	f.Add("https://portal.azure.com/#/subscriptions/x")
	f.Fuzz(func(t *testing.T, id string) {
		cluster, err := parseResourceID(id)
		if err != nil {
			if text := token.Explain(err).Text; !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) }) {
				t.Fatalf("%q", text)
			}
			return
		}
		if again, err := parseResourceID(cluster.resourceID()); err != nil || again != cluster || !strings.EqualFold(cluster.resourceID(), id) {
			t.Fatalf("%q is %+v, and that %+v, %v", id, cluster, again, err)
		}
		address := credentialRequest{endpoint: "https://management.example", cluster: cluster}.url(false)
		if !strings.HasPrefix(address, "https://management.example/subscriptions/") || strings.Contains(address, "/../") || strings.Count(address, "?") != 1 || strings.Contains(address, "#") {
			t.Fatalf("%q makes %q", id, address)
		}
	})
}
