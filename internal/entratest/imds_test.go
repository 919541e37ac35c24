package entratest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/internal/entratest"
)

const (
	vmClient     = "44444444-aaaa-4bbb-8ccc-000000000001"
	nodeClient   = "44444444-aaaa-4bbb-8ccc-000000000002"
	nodeGroup    = "/subscriptions/55555555-aaaa-4bbb-8ccc-000000000001/resourceGroups/nodes"
	vmResource   = nodeGroup + "/providers/Microsoft.Compute/virtualMachines/vm"
	nodeResource = nodeGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/worker"

	imdsPath = "/metadata/identity/oauth2/token?api-version=2018-02-01"
)

// assignIdentities assigns a system-assigned and a user-assigned identity to the machine of s.
func assignIdentities(s *entratest.Server) {
	s.AssignIdentity(entratest.ManagedIdentity{
		App:            entratest.App{Tenant: tenantID, ClientID: vmClient, ResourceID: vmResource},
		SystemAssigned: true,
	})
	s.AssignIdentity(entratest.ManagedIdentity{
		App: entratest.App{Tenant: tenantID, ClientID: nodeClient, ResourceID: nodeResource},
	})
}

// imdsTransport redirects requests to IMDS's link-local address to s. A machine in Azure reaches
// its host there.
func imdsTransport(s *entratest.Server) policy.Transporter {
	return transportFunc(func(req *http.Request) (*http.Response, error) {
		imds, err := url.Parse(s.IMDSURL)
		if err != nil {
			return nil, err
		}
		if req.URL.Host == "169.254.169.254" {
			req.Host, req.URL.Host = req.URL.Host, imds.Host
		}
		return http.DefaultClient.Do(req)
	})
}

type transportFunc func(*http.Request) (*http.Response, error)

func (t transportFunc) Do(req *http.Request) (*http.Response, error) { return t(req) }

// managedIdentityToken gets a token with azidentity. A nil id is the system-assigned identity.
func managedIdentityToken(
	t *testing.T, s *entratest.Server, id azidentity.ManagedIDKind, resource string, retries int32,
) (azcore.AccessToken, error) {
	t.Helper()
	options := azidentity.ManagedIdentityCredentialOptions{ID: id}
	options.Transport = imdsTransport(s)
	options.Retry = policy.RetryOptions{
		MaxRetries: retries, RetryDelay: time.Millisecond, MaxRetryDelay: time.Millisecond,
	}
	credential, err := azidentity.NewManagedIdentityCredential(&options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	request := policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}}
	return credential.GetToken(ctx, request)
}

var resourceSerial atomic.Int32

// newResource registers a resource with a new name, since MSAL caches the tokens of managed
// identities for the whole process.
func newResource(s *entratest.Server) string {
	resource := fmt.Sprintf("api://resource-%d", resourceSerial.Add(1))
	s.RegisterResource(tenantID, resource)
	return resource
}

func TestManagedIdentity(t *testing.T) {
	clientQuery := "client_id=" + nodeClient
	resourceID := url.QueryEscape(nodeResource)
	for name, test := range map[string]struct {
		id              azidentity.ManagedIDKind
		client          string
		imdsQuery       string // the query parameter that names the identity
		appServiceQuery string
	}{
		"system-assigned": {nil, vmClient, "", ""},
		"client ID":       {azidentity.ClientID(nodeClient), nodeClient, clientQuery, clientQuery},
		"resource ID": {
			azidentity.ResourceID(nodeResource), nodeClient,
			"msi_res_id=" + resourceID, "mi_res_id=" + resourceID,
		},
	} {
		t.Run(name+" IMDS", func(t *testing.T) {
			s := newServer(t)
			assignIdentities(s)
			testManagedIdentity(t, s, test.id, test.client,
				"GET 169.254.169.254 "+imdsPath, test.imdsQuery)
		})
		t.Run(name+" App Service", func(t *testing.T) {
			s := newServer(t)
			assignIdentities(s)
			endpoint, header := s.EnableAppService()
			t.Setenv("IDENTITY_ENDPOINT", endpoint)
			t.Setenv("IDENTITY_HEADER", header)
			host := strings.TrimPrefix(s.IMDSURL, "http://")
			testManagedIdentity(t, s, test.id, test.client,
				"GET "+host+" /msi/token?api-version=2019-08-01", test.appServiceQuery)
		})
	}
}

// testManagedIdentity gets a token of the identity id and checks that it belongs to client. It also
// checks that azidentity sent one request, which contains request and query.
func testManagedIdentity(
	t *testing.T, s *entratest.Server, id azidentity.ManagedIDKind, client, request, query string,
) {
	t.Helper()
	resource := newResource(s)
	token, err := managedIdentityToken(t, s, id, resource, -1)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.Verify(token.Token, resource)
	if err != nil || claims["appid"] != client || claims["xms_mirid"] == nil {
		t.Errorf("claims %v, %v", claims, err)
	}
	if left := time.Until(token.ExpiresOn); left < 59*time.Minute || left > time.Hour {
		t.Errorf("the token expires in %v", left)
	}
	got := s.Requests()
	for _, part := range []string{request, query, "resource=" + url.QueryEscape(resource)} {
		if len(got) != 1 || !strings.Contains(got[0], part) {
			t.Errorf("requests %q, want one with %q", got, part)
		}
	}
	if s.IMDSRequests() != 1 || s.Issued() != 1 || s.TokenRequests() != 0 {
		t.Errorf("%d requests, %d tokens, %d token requests",
			s.IMDSRequests(), s.Issued(), s.TokenRequests())
	}
}

func TestManagedIdentityFailures(t *testing.T) {
	const notFound = `{"error":"invalid_request","error_description":"Identity not found"}`
	for name, test := range map[string]struct {
		failure  entratest.Failure
		count    int // of requests that fail
		retries  int32
		requests int
		ok       bool
	}{
		"gone at first":         {entratest.Failure{Status: 410}, 2, 3, 3, true},
		"throttled":             {entratest.Failure{Status: 429, Header: http.Header{"Retry-After": {"0"}}}, 1, 3, 2, true},
		"not found":             {entratest.Failure{Status: 404}, 5, 2, 3, false},
		"page of a proxy":       {entratest.Failure{Status: 200, Body: "<html>sign in</html>"}, 1, 3, 1, false},
		"connection closed":     {entratest.Failure{Break: entratest.BreakConnection}, 1, 3, 2, true},
		"response cut short":    {entratest.Failure{Break: entratest.BreakBody}, 1, 3, 2, true},
		"bad request, no retry": {entratest.Failure{Status: 400, Body: notFound}, 1, 3, 1, false},
		"retries disabled":      {entratest.Failure{Status: 500}, 1, -1, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			assignIdentities(s)
			s.FailIMDS(test.count, test.failure)
			token, err := managedIdentityToken(t, s, nil, newResource(s), test.retries)
			if (err == nil) != test.ok || s.IMDSRequests() != test.requests {
				t.Errorf("%v after %d requests", err, s.IMDSRequests())
			}
			if (token.Token != "") != test.ok {
				t.Errorf("token %q", token.Token)
			}
		})
	}
}

func TestManagedIdentityHang(t *testing.T) {
	s := newServer(t)
	assignIdentities(s)
	s.FailIMDS(1, entratest.Failure{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	req := imdsRequest(t, s.IMDSURL+imdsPath+"&resource=x").WithContext(ctx)
	go func() {
		s.WaitIMDSRequests(1, testTimeout)
		cancel()
	}()
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// imdsRequest is a GET request with headers in the form "Name: value".
func imdsRequest(t *testing.T, rawURL string, headers ...string) *http.Request {
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

// An imdsCase is a request to a managed identity endpoint and its expected response.
type imdsCase struct {
	name    string
	url     string
	headers []string
	status  int
	text    string // in the response
	reports int    // of unexpected requests
}

func testIMDS(t *testing.T, r *reportRecorder, cases ...imdsCase) {
	t.Helper()
	for _, test := range cases {
		// An error is no failure: IMDS writes numbers as strings, which response cannot hold.
		got, err := doRequest(http.DefaultClient, imdsRequest(t, test.url, test.headers...))
		if got.status != test.status || !strings.Contains(got.raw, test.text) {
			t.Errorf("%s: %v, %v", test.name, err, got)
		}
		if reports := r.takeReports(); len(reports) != test.reports {
			t.Errorf("%s: reports %q", test.name, reports)
		}
	}
}

func TestManagedIdentityRefusals(t *testing.T) {
	r := &reportRecorder{T: t}
	s := newServer(r)
	assignIdentities(s)
	imds := s.IMDSURL + imdsPath + "&resource=" + entratest.AKSServerID
	noVersion := strings.Replace(imds, "2018-02-01", "", 1)
	otherResource := strings.Replace(imds, entratest.AKSServerID, clientID, 1)
	endpoint, secret := s.EnableAppService()
	appService := endpoint + "?api-version=2019-08-01&resource=" + entratest.AKSServerID
	metadata := []string{"Metadata: true"}
	forwarded := []string{"Metadata: true", "X-Forwarded-For: 10.0.0.1"}
	identityHeader := []string{"X-Identity-Header: " + secret}
	wrongSecret := []string{"X-Identity-Header: " + strings.ToLower(secret)}
	const notFound = `"error":"invalid_request","error_description":"Identity not found"`
	const unknownResource = `"error":"invalid_resource","error_description":` +
		`"AADSTS500011: The resource principal named ` + clientID
	testIMDS(t, r,
		imdsCase{"no header", imds, nil, 400, "Required metadata header not specified", 1},
		imdsCase{"forwarded", imds, forwarded, 400, "X-Forwarded-For", 1},
		imdsCase{"no version", noVersion, metadata, 400, "api-version", 1},
		imdsCase{"unknown parameter", imds + "&bypass_cache=true", metadata, 400, "", 1},
		imdsCase{"unknown identity", imds + "&client_id=" + tenantID, metadata, 400, notFound, 0},
		imdsCase{"not assigned", imds + "&client_id=" + clientID, metadata, 400, "Identity not found", 0},
		imdsCase{"unknown resource", otherResource, metadata, 400, unknownResource, 0},
		imdsCase{"system-assigned by resource ID", imds + "&mi_res_id=" + vmResource, metadata, 400, "Identity not found", 0},
		imdsCase{"part of a resource ID", imds + "&mi_res_id=" + nodeResource[:60], metadata, 400, "Identity not found", 0},
		imdsCase{"other path", s.IMDSURL + "/metadata/instance", metadata, 404, "", 1},
		imdsCase{"App Service, no secret", appService, nil, 401, "", 0},
		imdsCase{"App Service, wrong secret", appService, wrongSecret, 401, "", 0},
		imdsCase{"App Service, unknown identity", appService + "&client_id=" + tenantID, identityHeader, 400, "No User Assigned or Delegated Managed Identity found", 0},
	)
	s.UnassignIdentity(vmClient)
	testIMDS(t, r, imdsCase{"only identity by default", imds, metadata, 200, nodeClient, 0})
	second := entratest.App{Tenant: tenantID, ClientID: clientID, ResourceID: nodeResource + "2"}
	s.AssignIdentity(entratest.ManagedIdentity{App: second})
	byResourceID := imds + "&mi_res_id=" + url.QueryEscape(strings.ToUpper(second.ResourceID))
	testIMDS(t, r,
		imdsCase{"one of two by default", imds, metadata, 400, "Multiple user assigned identities exist", 0},
		imdsCase{"one of two by resource ID", byResourceID, metadata, 200, clientID, 0},
	)
}
