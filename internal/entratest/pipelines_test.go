package entratest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/internal/entratest"
)

const connectionID = "66666666-aaaa-4bbb-8ccc-000000000001"

// pipelinesToken gets a token with azidentity in a job with that request URI and system token.
func pipelinesToken(
	t *testing.T, s *entratest.Server, uri, systemToken, connection string,
) (azcore.AccessToken, error) {
	t.Helper()
	t.Setenv("SYSTEM_OIDCREQUESTURI", uri)
	options := azidentity.AzurePipelinesCredentialOptions{DisableInstanceDiscovery: true}
	options.Transport = proxyClient(t, s)
	options.Cloud = cloud.AzurePublic
	options.Retry.MaxRetries = -1
	credential, err := azidentity.NewAzurePipelinesCredential(
		tenantID, clientID, connection, systemToken, &options)
	if err != nil {
		t.Fatal(err)
	}
	return credential.GetToken(t.Context(), aksTokenOptions)
}

func TestPipelines(t *testing.T) {
	s := entratest.New(t)
	// The older connection has the Azure DevOps issuer, the newer one has the Entra issuer.
	older := entratest.ServiceConnection{
		ID: connectionID, Organization: "octo-org", Project: "octo", Name: "aks",
	}
	newer := older
	newer.ID = "66666666-aaaa-4bbb-8ccc-000000000002"
	newer.Issuer = publicCloud + "/" + tenantID + "/v2.0"
	newer.Subject = "/eid1/c/pub/t/AAAA/a/BBBB/sc/" + tenantID + "/" + newer.ID
	credential := older.FederatedCredential()
	if !strings.HasPrefix(credential.Issuer, "https://vstoken.dev.azure.com/") ||
		credential.Subject != "sc://octo-org/octo/aks" {
		t.Errorf("federated credential %+v", credential)
	}
	app := testApp(s)
	app.FederatedCredentials = []entratest.FederatedCredential{
		credential, newer.FederatedCredential(),
	}
	s.Register(app)
	uri, token := s.StartPipeline(older, newer)
	for _, id := range []string{older.ID, newer.ID} {
		s.ResetCounters()
		got, err := pipelinesToken(t, s, uri, token, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(got.Token, entratest.AKSServerID); err != nil {
			t.Error(err)
		}
		path := strings.TrimPrefix(uri, "https://dev.azure.com")
		want := "POST dev.azure.com " + path + "?api-version=7.1&serviceConnectionId=" + id
		if !slices.Contains(s.Requests(), want) ||
			s.PipelineRequests() != 1 || s.TokenRequests() != 1 {
			t.Errorf("requests %q", s.Requests())
		}
	}
	for name, test := range map[string]struct{ uri, token, id, want string }{
		"wrong token":        {uri, token[:len(token)-4] + "AAAA", connectionID, "401 Unauthorized"},
		"unknown connection": {uri, token, clientID, "404 Not Found"},
		"another job":        {strings.Replace(uri, "/jobs/", "/jobs/0", 1), token, connectionID, "404 Not Found"},
	} {
		_, err := pipelinesToken(t, s, test.uri, test.token, test.id)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.FailPipelines(1, entratest.Failure{Status: 203, Body: "<html>sign in</html>"})
	_, err := pipelinesToken(t, s, uri, token, connectionID)
	if err == nil || !strings.Contains(err.Error(), "203") {
		t.Errorf("FailPipelines: %v", err)
	}
}

// Azure DevOps redirects a request with a wrong token to its sign-in page unless the client says
// that it does not follow redirects (X-TFS-FedAuthRedirect: Suppress).
func TestPipelinesRedirectsToSignIn(t *testing.T) {
	s := newServer(t)
	uri, _ := s.StartPipeline()
	rawURL := uri + "?api-version=7.1&serviceConnectionId=" + connectionID
	req, err := http.NewRequest(http.MethodPost, rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ey.not.this")
	got, err := doRequest(proxyClient(t, s), req)
	if err != nil || got.status != http.StatusFound ||
		!strings.Contains(got.header.Get("Location"), "/_signin?") {
		t.Errorf("%v, %v, %v", err, got, got.header)
	}
}
