package entratest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

const (
	subscription = "/subscriptions/44444444-dddd-4444-8888-000000000001"
	clusterID    = subscription + "/resourceGroups/rg" +
		"/providers/Microsoft.ContainerService/managedClusters/c"

	arm         = "https://management.azure.com"
	armAudience = "https://management.core.windows.net"

	credentialPath = "/listClusterUserCredential?api-version=2024-09-01&format=exec"
)

// armRequest asks Azure Resource Manager at base for the user credential of a cluster. path is
// credentialPath or a variation of it.
func armRequest(base, id, path, token string) *http.Request {
	req, err := http.NewRequest("POST", base+id+path, nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

// armResponse is a response of Azure Resource Manager: kubeconfigs or an error.
type armResponse struct {
	status      int
	header      http.Header
	Kubeconfigs []struct {
		Name  string
		Value []byte
	}
	Error struct{ Code, Message string }
}

// kubeconfig returns the kubeconfig in a successful response, and "" for any other response.
func (r armResponse) kubeconfig() string {
	if r.status != 200 || len(r.Kubeconfigs) != 1 || r.Kubeconfigs[0].Name != "clusterUser" {
		return ""
	}
	return string(r.Kubeconfigs[0].Value)
}

func sendARM(t *testing.T, c *http.Client, req *http.Request) armResponse {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := armResponse{status: resp.StatusCode, header: resp.Header}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(body, &r) // the fields stay empty when the body is not JSON
	return r
}

// accessTokenFor gets an access token of a client for an audience.
func accessTokenFor(t *testing.T, s *entratest.Server, tenant, clientID, audience string) string {
	t.Helper()
	f := validForm(s)
	f.Set("client_id", clientID)
	f.Set("scope", audience+"/.default")
	got := post(t, directClient(t, s), s, tenant, "token", f)
	if got.AccessToken == "" {
		t.Fatal(got)
	}
	return got.AccessToken
}

func TestResourceManager(t *testing.T) {
	s := newServer(t)
	users := []string{clientID}
	s.RegisterCluster(entratest.Cluster{
		Tenant: tenantID, ID: clusterID, Users: users,
		Kubeconfig: "kind: Config", PublicKubeconfig: "public",
	})
	users[0] = "changed after RegisterCluster"
	c := proxyClient(t, s)
	for host, audience := range map[string]string{
		"management.azure.com":         "https://management.core.windows.net/",
		"management.usgovcloudapi.net": "https://management.core.usgovcloudapi.net",
		"management.chinacloudapi.cn":  "https://management.chinacloudapi.cn",
	} {
		token := accessTokenFor(t, s, tenantID, clientID, audience)
		got := sendARM(t, c, armRequest("https://"+host, clusterID, credentialPath, token))
		correlationID := got.header.Get("x-ms-correlation-request-id")
		if got.kubeconfig() != "kind: Config" || correlationID == "" {
			t.Errorf("%s: %+v", host, got)
		}
	}
	c = directClient(t, s)
	token := accessTokenFor(t, s, tenantID, clientID, arm)
	got := sendARM(t, c, armRequest(s.URL, clusterID, credentialPath+"&server-fqdn=public", token))
	if got.kubeconfig() != "public" {
		t.Errorf("server-fqdn=public: %+v", got)
	}
	s.FailResourceManager(1, entratest.Failure{
		Status: 429, Header: http.Header{"Retry-After": {"1"}},
	})
	got = sendARM(t, c, armRequest(s.URL, clusterID, credentialPath, token))
	if got.status != 429 || got.header.Get("Retry-After") != "1" {
		t.Errorf("FailResourceManager: %+v", got)
	}
	if s.ResourceManagerRequests() != 5 {
		t.Errorf("%d requests", s.ResourceManagerRequests())
	}
}

func TestResourceManagerRefuses(t *testing.T) {
	s := newServer(t)
	const otherClient = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	for _, tenant := range []string{tenantID, otherTenant} {
		for _, id := range []string{clientID, otherClient} {
			app := testApp(s)
			app.Tenant, app.ClientID, app.TenantDomain = tenant, id, ""
			s.Register(app)
		}
	}
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: []string{clientID}})
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID + "2"})
	valid := accessTokenFor(t, s, tenantID, clientID, armAudience)
	noRole := accessTokenFor(t, s, tenantID, otherClient, armAudience)
	foreign := accessTokenFor(t, s, otherTenant, clientID, armAudience)
	forAKS := accessTokenFor(t, s, tenantID, clientID, entratest.AKSServerID)
	s.SetTokenLifetime(-time.Minute)
	expired := accessTokenFor(t, s, tenantID, clientID, armAudience)
	c := proxyClient(t, s)
	for _, test := range []struct {
		name, base, id, token string
		status                int
		code, text            string
	}{
		{"no role", arm, clusterID, noRole, 403, "AuthorizationFailed", "over scope '" + clusterID + "' or the scope is invalid"},
		{"no role on this cluster", arm, clusterID + "2", valid, 403, "AuthorizationFailed", "The client '" + clientID + "'"},
		{"no role and no cluster", arm, clusterID + "3", noRole, 403, "AuthorizationFailed", "managedClusters/c3'"},
		{"no cluster", arm, clusterID + "3", valid, 404, "ResourceNotFound", "'Microsoft.ContainerService/managedClusters/c3' under resource group 'rg'"},
		{"no group", arm, strings.Replace(clusterID, "/rg/", "/gone/", 1), valid, 404, "ResourceGroupNotFound", "'gone'"},
		{"no subscription", arm, strings.Replace(clusterID, "44444444-", "55555555-", 1), valid, 404, "SubscriptionNotFound", "'55555555-dddd-4444-8888-000000000001'"},
		{"tenant", arm, clusterID, foreign, 401, "InvalidAuthenticationTokenTenant", "It must match the tenant 'https://sts.windows.net/" + tenantID + "/'"},
		{"audience", arm, clusterID, forAKS, 401, "InvalidAuthenticationTokenAudience", "'https://management.core.windows.net','https://management.azure.com/'"},
		{"cloud", "https://management.chinacloudapi.cn", clusterID, valid, 401, "InvalidAuthenticationTokenAudience", "'https://management.core.chinacloudapi.cn/'"},
		{"expired", arm, clusterID, expired, 401, "ExpiredAuthenticationToken", ""},
		{"no token", arm, clusterID, "x", 401, "InvalidAuthenticationToken", ""},
	} {
		got := sendARM(t, c, armRequest(test.base, test.id, credentialPath, test.token))
		if got.status != test.status || got.Error.Code != test.code ||
			!strings.Contains(got.Error.Message, test.text) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

func TestResourceManagerReportsUnexpectedRequests(t *testing.T) {
	r := &reportRecorder{T: t}
	s := newServer(r)
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: []string{clientID}})
	token := accessTokenFor(t, s, tenantID, clientID, arm)
	c := proxyClient(t, s)
	withPath := func(path string) *http.Request { return armRequest(arm, clusterID, path, token) }
	fleetID := strings.Replace(clusterID, "managedClusters", "fleets", 1)
	for name, test := range map[string]struct {
		req    *http.Request
		status int
	}{
		"no version":       {withPath("/listClusterUserCredential?format=exec"), 400},
		"preview version":  {withPath("/listClusterUserCredential?api-version=2024-09-02-preview&format=exec"), 400},
		"no format":        {withPath("/listClusterUserCredential?api-version=2024-09-01"), 400},
		"parameter":        {withPath(credentialPath + "&more=1"), 400},
		"fqdn":             {withPath(credentialPath + "&server-fqdn=private"), 400},
		"body":             {withBody(withPath(credentialPath)), 400},
		"no authorization": {withoutHeader(withPath(credentialPath), "Authorization"), 401},
		"method":           {withMethod(withPath(credentialPath), "GET"), 404},
		"admin credential": {withPath("/listClusterAdminCredential?api-version=2024-09-01"), 404},
		"resource type":    {armRequest(arm, fleetID, credentialPath, token), 404},
		"other host":       {armRequest(publicCloud, clusterID, credentialPath, token), 404},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sendARM(t, c, test.req); got.status != test.status {
				t.Errorf("%+v", got)
			}
			r.wantOneReport(t)
		})
	}
}

func withBody(req *http.Request) *http.Request {
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("{}")), 2
	return req
}

func withoutHeader(req *http.Request, header string) *http.Request {
	req.Header.Del(header)
	return req
}

func withMethod(req *http.Request, method string) *http.Request {
	req.Method = method
	return req
}

func TestResourceManagerAcceptsUsersByName(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	s.RegisterCluster(entratest.Cluster{
		Tenant: tenantID, ID: clusterID, Users: []string{alice}, Kubeconfig: "kind: Config\n",
	})
	for name, want := range map[string]int{alice: 200, "bob@contoso.onmicrosoft.com": 403} {
		s.RegisterUser(entratest.User{Tenant: tenantID, Name: name, Password: "p"})
		f := withValues(passwordForm(name, "p"), "client_id", cliClient, "scope", armScope)
		token := postToken(t, c, s, f).AccessToken
		got := sendARM(t, c, armRequest(s.URL, clusterID, credentialPath, token))
		if got.status != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
