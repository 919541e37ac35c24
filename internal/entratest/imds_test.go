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
	nodeResource = "/subscriptions/55555555-aaaa-4bbb-8ccc-000000000001/resourceGroups/nodes/providers/Microsoft.ManagedIdentity/userAssignedIdentities/worker"
)

// assignIdentities assigns a system-assigned and a user-assigned identity to the machine of s.
func assignIdentities(s *entratest.Server) {
	s.AssignIdentity(entratest.ManagedIdentity{App: entratest.App{
		Tenant: tenantID, ClientID: vmClient, ResourceID: "/subscriptions/55555555-aaaa-4bbb-8ccc-000000000001/resourceGroups/nodes/providers/Microsoft.Compute/virtualMachines/vm",
	}, SystemAssigned: true})
	s.AssignIdentity(entratest.ManagedIdentity{App: entratest.App{Tenant: tenantID, ClientID: nodeClient, ResourceID: nodeResource}})
}

// imdsTransport sends what is meant for IMDS to the machine of s, as the link-local address leads
// to its host.
func imdsTransport(s *entratest.Server) policy.Transporter {
	return transportFunc(func(req *http.Request) (*http.Response, error) {
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

type transportFunc func(*http.Request) (*http.Response, error)

func (t transportFunc) Do(req *http.Request) (*http.Response, error) { return t(req) }

func managedIdentityToken(t *testing.T, s *entratest.Server, id azidentity.ManagedIDKind, resource string, retries int32) (azcore.AccessToken, error) {
	t.Helper()
	options := azidentity.ManagedIdentityCredentialOptions{ID: id}
	options.Transport = imdsTransport(s)
	options.Retry = policy.RetryOptions{MaxRetries: retries, RetryDelay: time.Millisecond, MaxRetryDelay: time.Millisecond}
	credential, err := azidentity.NewManagedIdentityCredential(&options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	return credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
}

var resourceSerial atomic.Int32

// newResource is one that nobody has asked for: MSAL's cache of managed identities is one for the
// process.
func newResource(s *entratest.Server) string {
	resource := fmt.Sprintf("api://resource-%d", resourceSerial.Add(1))
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
		"system-assigned": {nil, vmClient, nil},
		"client id":       {azidentity.ClientID(nodeClient), nodeClient, map[string]string{"imds": "client_id=" + nodeClient, "app service": "client_id=" + nodeClient}},
		"resource id":     {azidentity.ResourceID(nodeResource), nodeClient, map[string]string{"imds": "msi_res_id=" + url.QueryEscape(nodeResource), "app service": "mi_res_id=" + url.QueryEscape(nodeResource)}},
	} {
		for _, endpoint := range []string{"imds", "app service"} {
			t.Run(name+" "+endpoint, func(t *testing.T) {
				s := newServer(t)
				assignIdentities(s)
				want := "GET 169.254.169.254 /metadata/identity/oauth2/token?api-version=2018-02-01"
				if endpoint == "app service" {
					uri, header := s.EnableAppService()
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
			s := newServer(t)
			assignIdentities(s)
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
	s := newServer(t)
	assignIdentities(s)
	s.FailIMDS(1, entratest.Failure{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.IMDSURL+"/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		s.WaitIMDSRequests(1, testTimeout)
		cancel()
	}()
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

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

func TestManagedIdentityRefusals(t *testing.T) {
	r := &recorder{T: t}
	s := entratest.New(r)
	s.Register(app(s))
	second := entratest.ManagedIdentity{App: entratest.App{Tenant: tenantID, ClientID: clientID, ResourceID: nodeResource + "2"}}
	assignIdentities(s)
	const path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=" + entratest.AKSServerID
	uri, header := s.EnableAppService()
	web := uri + "?api-version=2019-08-01&resource=" + entratest.AKSServerID
	ask := func(what string, req *http.Request, status int, body string, complaints int) {
		t.Helper()
		got, err := doRequest(http.DefaultClient, req) // err where numbers are strings
		if got.status != status || !strings.Contains(got.raw, body) {
			t.Errorf("%s: %v, %d %s", what, err, got.status, got.raw)
		}
		if n := len(r.takeReports()); n != complaints {
			t.Errorf("%s: %d complaints", what, n)
		}
	}
	ask("no header", imdsRequest(t, s.IMDSURL+path), 400, "Required metadata header not specified", 1)
	ask("forwarded", imdsRequest(t, s.IMDSURL+path, "Metadata: true", "X-Forwarded-For: 10.0.0.1"), 400, "X-Forwarded-For", 1)
	ask("no version", imdsRequest(t, s.IMDSURL+strings.Replace(path, "2018-02-01", "", 1), "Metadata: true"), 400, "api-version", 1)
	ask("unknown parameter", imdsRequest(t, s.IMDSURL+path+"&bypass_cache=true", "Metadata: true"), 400, "", 1)
	ask("unknown identity", imdsRequest(t, s.IMDSURL+path+"&client_id="+tenantID, "Metadata: true"), 400, `"error":"invalid_request","error_description":"Identity not found"`, 0)
	ask("not assigned", imdsRequest(t, s.IMDSURL+path+"&client_id="+clientID, "Metadata: true"), 400, "Identity not found", 0)
	ask("unknown resource", imdsRequest(t, s.IMDSURL+strings.Replace(path, entratest.AKSServerID, clientID, 1), "Metadata: true"), 400, `"invalid_resource","error_description":"AADSTS500011: The resource principal named `+clientID, 0)
	ask("system-assigned by its machine", imdsRequest(t, s.IMDSURL+path+"&mi_res_id="+nodeResource[:60], "Metadata: true"), 400, "Identity not found", 0)
	ask("other path", imdsRequest(t, s.IMDSURL+"/metadata/instance", "Metadata: true"), 404, "", 1)
	ask("no secret", imdsRequest(t, web), 401, "", 0)
	ask("another's secret", imdsRequest(t, web, "X-Identity-Header: "+strings.ToLower(header)), 401, "", 0)
	ask("app service, unknown identity", imdsRequest(t, web+"&client_id="+tenantID, "X-Identity-Header: "+header), 400, "No User Assigned or Delegated Managed Identity found", 0)
	s.UnassignIdentity(vmClient)
	ask("the only one", imdsRequest(t, s.IMDSURL+path, "Metadata: true"), 200, nodeClient, 0)
	s.AssignIdentity(second)
	ask("one of two", imdsRequest(t, s.IMDSURL+path, "Metadata: true"), 400, "Multiple user assigned identities exist", 0)
	ask("one of two by name", imdsRequest(t, s.IMDSURL+path+"&mi_res_id="+url.QueryEscape(strings.ToUpper(second.ResourceID)), "Metadata: true"), 200, clientID, 0)
}
