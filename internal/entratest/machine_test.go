package entratest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/akslogin/akslogin/internal/entratest"
)

const (
	machineClient = "44444444-aaaa-4bbb-8ccc-000000000001"
	nodeClient    = "44444444-aaaa-4bbb-8ccc-000000000002"
	nodeResource  = "/subscriptions/55555555-aaaa-4bbb-8ccc-000000000001/resourceGroups/nodes/providers/Microsoft.ManagedIdentity/userAssignedIdentities/worker"
)

// inAzure assigns a system-assigned and a user-assigned identity to the machine of s.
func inAzure(s *entratest.Server) {
	s.AssignIdentity(entratest.ManagedIdentity{App: entratest.App{
		Tenant: tenantID, ClientID: machineClient, ResourceID: "/subscriptions/55555555-aaaa-4bbb-8ccc-000000000001/resourceGroups/nodes/providers/Microsoft.Compute/virtualMachines/vm",
	}, SystemAssigned: true})
	s.AssignIdentity(entratest.ManagedIdentity{App: entratest.App{Tenant: tenantID, ClientID: nodeClient, ResourceID: nodeResource}})
}

// redirected sends what is meant for IMDS to the machine of s, as the link-local address leads to its host.
func redirected(s *entratest.Server) policy.Transporter {
	return transport(func(req *http.Request) (*http.Response, error) {
		to, err := url.Parse(s.IMDSURL)
		if err != nil {
			return nil, err
		}
		if req.URL.Host == "169.254.169.254" {
			req.Host, req.URL.Host = req.URL.Host, to.Host
		}
		return http.DefaultClient.Do(req)
	})
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) Do(req *http.Request) (*http.Response, error) { return t(req) }

func managedIdentityToken(t *testing.T, s *entratest.Server, id azidentity.ManagedIDKind, resource string, retries int32) (azcore.AccessToken, error) {
	t.Helper()
	options := azidentity.ManagedIdentityCredentialOptions{ID: id}
	options.Transport = redirected(s)
	options.Retry = policy.RetryOptions{MaxRetries: retries, RetryDelay: time.Millisecond, MaxRetryDelay: time.Millisecond}
	credential, err := azidentity.NewManagedIdentityCredential(&options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	return credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
}

var resources atomic.Int32

// newResource is one that nobody has asked for: MSAL's cache of managed identities is one for the process.
func newResource(s *entratest.Server) string {
	resource := fmt.Sprintf("api://resource-%d", resources.Add(1))
	s.RegisterResource(tenantID, resource)
	return resource
}

// Both forms are asked as azidentity does, for each way to name an identity.
func TestManagedIdentity(t *testing.T) {
	for name, test := range map[string]struct {
		id     azidentity.ManagedIDKind
		client string
		query  map[string]string // the parameter that names the identity, by endpoint
	}{
		"system-assigned": {nil, machineClient, nil},
		"client id":       {azidentity.ClientID(nodeClient), nodeClient, map[string]string{"imds": "client_id=" + nodeClient, "app service": "client_id=" + nodeClient}},
		"resource id":     {azidentity.ResourceID(nodeResource), nodeClient, map[string]string{"imds": "msi_res_id=" + url.QueryEscape(nodeResource), "app service": "mi_res_id=" + url.QueryEscape(nodeResource)}},
	} {
		for _, endpoint := range []string{"imds", "app service"} {
			t.Run(name+" "+endpoint, func(t *testing.T) {
				s := start(t)
				inAzure(s)
				want := "GET 169.254.169.254 /metadata/identity/oauth2/token?api-version=2018-02-01"
				if endpoint == "app service" {
					uri, header := s.AppService()
					t.Setenv("IDENTITY_ENDPOINT", uri)
					t.Setenv("IDENTITY_HEADER", header)
					want = "GET " + strings.TrimPrefix(s.IMDSURL, "http://") + " /msi/token?api-version=2019-08-01"
				}
				resource := newResource(s)
				token, err := managedIdentityToken(t, s, test.id, resource, -1)
				if err != nil {
					t.Fatal(err)
				}
				claims, err := s.Verify(token.Token, resource)
				if err != nil || claims["appid"] != test.client || claims["xms_mirid"] == nil {
					t.Errorf("claims %v, %v", claims, err)
				}
				if left := time.Until(token.ExpiresOn); left < 59*time.Minute || left > time.Hour {
					t.Errorf("it lives %v", left)
				}
				got := s.Requests()
				for _, part := range []string{want, test.query[endpoint], "resource=" + url.QueryEscape(resource)} {
					if len(got) != 1 || !strings.Contains(got[0], part) {
						t.Errorf("asked %q, without %q", got, part)
					}
				}
				if s.IMDSRequests() != 1 || s.Issued() != 1 || s.TokenRequests() != 0 {
					t.Errorf("%d requests, %d tokens, %d token requests", s.IMDSRequests(), s.Issued(), s.TokenRequests())
				}
			})
		}
	}
}

func TestManagedIdentityFailures(t *testing.T) {
	for name, test := range map[string]struct {
		failure entratest.Failure
		n       int
		retries int32
		want    int // requests
		ok      bool
	}{
		"gone for a while":    {entratest.Failure{Status: 410}, 2, 3, 3, true},
		"throttled":           {entratest.Failure{Status: 429, Header: http.Header{"Retry-After": {"0"}}}, 1, 3, 2, true},
		"not there":           {entratest.Failure{Status: 404}, 5, 2, 3, false},
		"a proxy's page":      {entratest.Failure{Status: 200, Body: "<html>sign in</html>"}, 1, 3, 1, false},
		"connection closed":   {entratest.Failure{Break: entratest.BreakConnection}, 1, 3, 2, true},
		"answer cut short":    {entratest.Failure{Break: entratest.BreakBody}, 1, 3, 2, true},
		"bad request, final":  {entratest.Failure{Status: 400, Body: `{"error":"invalid_request","error_description":"Identity not found"}`}, 1, 3, 1, false},
		"server error, final": {entratest.Failure{Status: 500}, 1, -1, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			inAzure(s)
			s.FailIMDS(test.n, test.failure)
			token, err := managedIdentityToken(t, s, nil, newResource(s), test.retries)
			if (err == nil) != test.ok || s.IMDSRequests() != test.want {
				t.Errorf("%v after %d requests", err, s.IMDSRequests())
			}
			if (token.Token != "") != test.ok {
				t.Errorf("token %q", token.Token)
			}
		})
	}
}

func TestManagedIdentityHang(t *testing.T) {
	s := start(t)
	inAzure(s)
	s.FailIMDS(1, entratest.Failure{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.IMDSURL+"/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		s.WaitIMDSRequests(1, soon)
		cancel()
	}()
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func machineRequest(t *testing.T, rawURL string, headers ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return req
}

func TestManagedIdentityRefusals(t *testing.T) {
	r := &recorder{T: t}
	s := entratest.New(r)
	s.Register(app(s))
	second := entratest.ManagedIdentity{App: entratest.App{Tenant: tenantID, ClientID: clientID, ResourceID: nodeResource + "2"}}
	inAzure(s)
	const path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=" + entratest.AKSServerID
	uri, header := s.AppService()
	web := uri + "?api-version=2019-08-01&resource=" + entratest.AKSServerID
	ask := func(what string, req *http.Request, status int, body string, complaints int) {
		t.Helper()
		got, err := do(http.DefaultClient, req) // err where numbers are strings
		if got.status != status || !strings.Contains(got.raw, body) {
			t.Errorf("%s: %v, %d %s", what, err, got.status, got.raw)
		}
		if n := len(r.taken()); n != complaints {
			t.Errorf("%s: %d complaints", what, n)
		}
	}
	ask("no header", machineRequest(t, s.IMDSURL+path), 400, "Required metadata header not specified", 1)
	ask("forwarded", machineRequest(t, s.IMDSURL+path, "Metadata: true", "X-Forwarded-For: 10.0.0.1"), 400, "X-Forwarded-For", 1)
	ask("no version", machineRequest(t, s.IMDSURL+strings.Replace(path, "2018-02-01", "", 1), "Metadata: true"), 400, "api-version", 1)
	ask("unknown parameter", machineRequest(t, s.IMDSURL+path+"&bypass_cache=true", "Metadata: true"), 400, "", 1)
	ask("unknown identity", machineRequest(t, s.IMDSURL+path+"&client_id="+tenantID, "Metadata: true"), 400, `"error":"invalid_request","error_description":"Identity not found"`, 0)
	ask("not assigned", machineRequest(t, s.IMDSURL+path+"&client_id="+clientID, "Metadata: true"), 400, "Identity not found", 0)
	ask("unknown resource", machineRequest(t, s.IMDSURL+strings.Replace(path, entratest.AKSServerID, clientID, 1), "Metadata: true"), 400, `"invalid_resource","error_description":"AADSTS500011: The resource principal named `+clientID, 0)
	ask("system-assigned by its machine", machineRequest(t, s.IMDSURL+path+"&mi_res_id="+nodeResource[:60], "Metadata: true"), 400, "Identity not found", 0)
	ask("other path", machineRequest(t, s.IMDSURL+"/metadata/instance", "Metadata: true"), 404, "", 1)
	ask("no secret", machineRequest(t, web), 401, "", 0)
	ask("another's secret", machineRequest(t, web, "X-Identity-Header: "+strings.ToLower(header)), 401, "", 0)
	ask("app service, unknown identity", machineRequest(t, web+"&client_id="+tenantID, "X-Identity-Header: "+header), 400, "No User Assigned or Delegated Managed Identity found", 0)
	s.UnassignIdentity(machineClient)
	ask("the only one", machineRequest(t, s.IMDSURL+path, "Metadata: true"), 200, nodeClient, 0)
	s.AssignIdentity(second)
	ask("one of two", machineRequest(t, s.IMDSURL+path, "Metadata: true"), 400, "Multiple user assigned identities exist", 0)
	ask("one of two by name", machineRequest(t, s.IMDSURL+path+"&mi_res_id="+url.QueryEscape(strings.ToUpper(second.ResourceID)), "Metadata: true"), 200, clientID, 0)
}

const connectionID = "66666666-aaaa-4bbb-8ccc-000000000001"

func pipelinesCredential(t *testing.T, s *entratest.Server, uri, token, connection string) (azcore.AccessToken, error) {
	t.Helper()
	t.Setenv("SYSTEM_OIDCREQUESTURI", uri)
	options := azidentity.AzurePipelinesCredentialOptions{DisableInstanceDiscovery: true}
	options.Transport = client(t, s, true)
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
	a.Federated = []entratest.FederatedCredential{older.Trust(), newer.Trust()}
	s.Register(a)
	if trust := older.Trust(); !strings.HasPrefix(trust.Issuer, "https://vstoken.dev.azure.com/") || trust.Subject != "sc://octo-org/octo/aks" {
		t.Errorf("trust %+v", trust)
	}
	uri, token := s.Pipeline(older, newer)
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
func TestPipelinesSignIn(t *testing.T) {
	s := start(t)
	uri, _ := s.Pipeline()
	req, err := http.NewRequest(http.MethodPost, uri+"?api-version=7.1&serviceConnectionId="+connectionID, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ey.not.this")
	got, err := do(client(t, s, true), req)
	if err != nil || got.status != http.StatusFound || !strings.Contains(got.header.Get("Location"), "/_signin?") {
		t.Errorf("%v, %d, %v", err, got.status, got.header)
	}
}
