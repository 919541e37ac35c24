package redact

import (
	"fmt"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

func TestLongNamesAreNotRedacted(t *testing.T) {
	for _, text := range []string{
		"AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:astronomer-shining-nebula-1234:shining-nebula-1234-worker-serviceaccount'.",
		"https://eastus.oic.prod-aks.azure.com/11111111-aaaa-4444-8888-000000000001/22222222-bbbb-4444-8888-000000000001/",
		"/var/run/secrets/azure/tokens/azure-identity-token",
		"/secrets/googleServiceAccountKeyJson/tok",
		"repo:Octo-Org/HoneyJar-Service:ref:refs/heads/main",
		"MC_MyResourceGroup-Production_MyCluster01_westeurope",
		"StanleyJones.onmicrosoft.com",
		"6DAE42F8-4368-4678-94FF-3960E28E3630",
		"2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
		"https://mycluster-dns-1a2b3c4d.privatelink.9f8e7d6c-5b4a-3210-fedc-ba9876543210.eastus2.azmk8s.io:443/",
	} {
		if got := Excerpt(text); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	formats := []string{
		"%s", "got '%s' here", "client_assertion=%s&x=y", "a%%3D%s", "(%s)", "https://x/%s/y",
		"AADSTS1: %s.",
	}
	for _, secret := range []string{
		"7bV8Q~aBcDeFgHiJkLmN.oPqRsTuVwXyZ0123_45",
		"q1W8Q~xY2zA3bC4dE5fG6hI7jK8lM9nO0pQ1rS2t",
		"eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln",
		"eyJhbGciOiJSUzI1NiJ9",
		strings.Split(tokentest.SecretToken, ".")[2],
	} {
		for _, format := range formats {
			text := fmt.Sprintf(format, secret)
			if got := Excerpt(text); strings.Contains(got, secret) {
				t.Errorf("%s shows the secret", got)
			}
		}
	}
}
