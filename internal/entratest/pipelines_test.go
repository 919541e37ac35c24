package entratest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/internal/entratest"
)

const connectionID = "66666666-aaaa-4bbb-8ccc-000000000001"

func pipelinesCredential(t *testing.T, s *entratest.Server, uri, token, connection string) (azcore.AccessToken, error) {
	t.Helper()
	t.Setenv("SYSTEM_OIDCREQUESTURI", uri)
	options := azidentity.AzurePipelinesCredentialOptions{DisableInstanceDiscovery: true}
	options.Transport = newClient(t, s, true)
	options.Cloud = cloud.AzurePublic
	options.Retry.MaxRetries = -1
	credential, err := azidentity.NewAzurePipelinesCredential(tenantID, clientID, connection, token, &options)
	if err != nil {
		t.Fatal(err)
	}
	return credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{entratest.AKSServerID + "/.default"}})
}

func TestPipelines(t *testing.T) {
	s := entratest.New(t)
	older := entratest.ServiceConnection{ID: connectionID, Organization: "octo-org", Project: "octo", Name: "aks"}
	newer := older
	newer.ID, newer.Issuer, newer.Subject = nodeClient, "https://login.microsoftonline.com/"+tenantID+"/v2.0", "/eid1/c/pub/t/AAAA/a/BBBB/sc/"+tenantID+"/"+nodeClient
	a := app(s)
	a.FederatedCredentials = []entratest.FederatedCredential{older.FederatedCredential(), newer.FederatedCredential()}
	s.Register(a)
	if trust := older.FederatedCredential(); !strings.HasPrefix(trust.Issuer, "https://vstoken.dev.azure.com/") || trust.Subject != "sc://octo-org/octo/aks" {
		t.Errorf("trust %+v", trust)
	}
	uri, token := s.StartPipeline(older, newer)
	for _, id := range []string{older.ID, newer.ID} {
		s.ResetCounters()
		got, err := pipelinesCredential(t, s, uri, token, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(got.Token, entratest.AKSServerID); err != nil {
			t.Error(err)
		}
		want := "POST dev.azure.com " + strings.TrimPrefix(uri, "https://dev.azure.com") + "?api-version=7.1&serviceConnectionId=" + id
		if requests := s.Requests(); !slices.Contains(requests, want) || s.PipelineRequests() != 1 || s.TokenRequests() != 1 {
			t.Errorf("requests %q", requests)
		}
	}
	for what, test := range map[string]struct{ uri, token, id, want string }{
		"bad token":          {uri, token[:len(token)-4] + "AAAA", connectionID, "401 Unauthorized"},
		"unknown connection": {uri, token, clientID, "404 Not Found"},
		"another job":        {strings.Replace(uri, "/jobs/", "/jobs/0", 1), token, connectionID, "404 Not Found"},
	} {
		if _, err := pipelinesCredential(t, s, test.uri, test.token, test.id); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.FailPipelines(1, entratest.Failure{Status: 203, Body: "<html>sign in</html>"})
	if _, err := pipelinesCredential(t, s, uri, token, connectionID); err == nil || !strings.Contains(err.Error(), "203") {
		t.Errorf("a page in place of the answer: %v", err)
	}
}

// Who does not say that he is no person is sent to a page to sign in.
func TestPipelinesRedirectsToSignIn(t *testing.T) {
	s := newServer(t)
	uri, _ := s.StartPipeline()
	req, err := http.NewRequest(http.MethodPost, uri+"?api-version=7.1&serviceConnectionId="+connectionID, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ey.not.this")
	got, err := doRequest(newClient(t, s, true), req)
	if err != nil || got.status != http.StatusFound || !strings.Contains(got.header.Get("Location"), "/_signin?") {
		t.Errorf("%v, %d, %v", err, got.status, got.header)
	}
}
