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

	clusterID = subscription + "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c"

	credentialPath = "/listClusterUserCredential?api-version=2024-09-01&format=exec"
)

// armRequest asks Azure Resource Manager at base for the credential of a cluster's users.
func armRequest(base, id, query, token string) *http.Request {
	req, err := http.NewRequest("POST", base+id+query, nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

// armResponse is what Azure Resource Manager says, of either kind.
type armResponse struct {
	status      int
	header      http.Header
	Kubeconfigs []struct {
		Name  string
		Value []byte
	}
	Error struct{ Code, Message string }
}

// kubeconfig is the one that a good answer has, else "".
func (a armResponse) kubeconfig() string {
	if a.status != 200 || len(a.Kubeconfigs) != 1 || a.Kubeconfigs[0].Name != "clusterUser" {
		return ""
	}
	return string(a.Kubeconfigs[0].Value)
}

func sendARM(t *testing.T, c *http.Client, req *http.Request) armResponse {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := armResponse{status: resp.StatusCode, header: resp.Header}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(body, &a) // what is not in its form stays empty
	return a
}

// accessTokenFor is an access token of the client for an audience.
func accessTokenFor(t *testing.T, s *entratest.Server, tenant, clientID, audience string) string {
	t.Helper()
	f := assertionForm(s.Assertion(entratest.Claims{Subject: subject}))
	f.Set("client_id", clientID)
	f.Set("scope", audience+"/.default")
	got, err := doRequest(newClient(t, s, false), tokenRequest(s.URL, tenant, f))
	if err != nil || got.AccessToken == "" {
		t.Fatalf("%v %s", err, got.raw)
	}
	return got.AccessToken
}

func TestResourceManager(t *testing.T) {
	s := newServer(t)
	users := []string{clientID}
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: users, Kubeconfig: "kind: Config", PublicKubeconfig: "public"})
	users[0] = "changed after RegisterCluster"
	c := newClient(t, s, true)
	for host, audience := range map[string]string{
		"management.azure.com": "https://management.core.windows.net/", "management.usgovcloudapi.net": "https://management.core.usgovcloudapi.net",
		"management.chinacloudapi.cn": "https://management.chinacloudapi.cn",
	} {
		got := sendARM(t, c, armRequest("https://"+host, clusterID, credentialPath, accessTokenFor(t, s, tenantID, clientID, audience)))
		if got.kubeconfig() != "kind: Config" || got.header.Get("x-ms-correlation-request-id") == "" {
			t.Errorf("%s: %+v", host, got)
		}
	}
	token, direct := accessTokenFor(t, s, tenantID, clientID, "https://management.azure.com"), newClient(t, s, false)
	if got := sendARM(t, direct, armRequest(s.URL, clusterID, credentialPath+"&server-fqdn=public", token)); got.kubeconfig() != "public" {
		t.Errorf("%+v", got)
	}
	s.FailResourceManager(1, entratest.Failure{Status: 429, Header: http.Header{"Retry-After": {"1"}}})
	if got := sendARM(t, direct, armRequest(s.URL, clusterID, credentialPath, token)); got.status != 429 || got.header.Get("Retry-After") != "1" {
		t.Errorf("FailResourceManager: %+v", got)
	}
	if s.ResourceManagerRequests() != 5 {
		t.Errorf("%d requests", s.ResourceManagerRequests())
	}
}

func TestResourceManagerRefuses(t *testing.T) {
	s := newServer(t)
	const otherTenant, otherClient = "11111111-2222-4333-8444-666666666666", "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	for _, tenant := range []string{tenantID, otherTenant} {
		for _, id := range []string{clientID, otherClient} {
			a := app(s)
			a.Tenant, a.ClientID, a.TenantDomain = tenant, id, ""
			s.Register(a)
		}
	}
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: []string{clientID}})
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID + "2"})
	const arm, audience = "https://management.azure.com", "https://management.core.windows.net"
	good := accessTokenFor(t, s, tenantID, clientID, audience)
	other, stranger := accessTokenFor(t, s, tenantID, otherClient, audience), accessTokenFor(t, s, otherTenant, clientID, audience)
	forCluster := accessTokenFor(t, s, tenantID, clientID, entratest.AKSServerID)
	s.SetTokenLifetime(-time.Minute)
	expired := accessTokenFor(t, s, tenantID, clientID, audience)
	c := newClient(t, s, true)
	for _, test := range []struct {
		name, base, id, token string
		status                int
		code, text            string
	}{
		{"no role", arm, clusterID, other, 403, "AuthorizationFailed", "over scope '" + clusterID + "' or the scope is invalid"},
		{"no role on this one", arm, clusterID + "2", good, 403, "AuthorizationFailed", "The client '" + clientID + "'"},
		{"no role and no cluster", arm, clusterID + "3", other, 403, "AuthorizationFailed", "managedClusters/c3'"},
		{"no cluster", arm, clusterID + "3", good, 404, "ResourceNotFound", "'Microsoft.ContainerService/managedClusters/c3' under resource group 'rg'"},
		{"no group", arm, strings.Replace(clusterID, "/rg/", "/gone/", 1), good, 404, "ResourceGroupNotFound", "'gone'"},
		{"no subscription", arm, strings.Replace(clusterID, "44444444-", "55555555-", 1), good, 404, "SubscriptionNotFound", "'55555555-dddd-4444-8888-000000000001'"},
		{"tenant", arm, clusterID, stranger, 401, "InvalidAuthenticationTokenTenant", "It must match the tenant 'https://sts.windows.net/" + tenantID + "/'"},
		{"audience", arm, clusterID, forCluster, 401, "InvalidAuthenticationTokenAudience", "'https://management.core.windows.net','https://management.azure.com/'"},
		{"cloud", "https://management.chinacloudapi.cn", clusterID, good, 401, "InvalidAuthenticationTokenAudience", "'https://management.core.chinacloudapi.cn/'"},
		{"expired", arm, clusterID, expired, 401, "ExpiredAuthenticationToken", ""},
		{"no token", arm, clusterID, "x", 401, "InvalidAuthenticationToken", ""},
	} {
		got := sendARM(t, c, armRequest(test.base, test.id, credentialPath, test.token))
		if got.status != test.status || got.Error.Code != test.code || !strings.Contains(got.Error.Message, test.text) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// What no client of Azure Resource Manager should send is reported.
func TestResourceManagerIsStrict(t *testing.T) {
	r := &recorder{T: t}
	s := entratest.New(r)
	s.Register(app(s))
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: []string{clientID}})
	token := accessTokenFor(t, s, tenantID, clientID, "https://management.azure.com")
	const arm = "https://management.azure.com"
	c := newClient(t, s, true)
	for name, test := range map[string]struct {
		req    *http.Request
		status int
	}{
		"no version":       {armRequest(arm, clusterID, "/listClusterUserCredential?format=exec", token), 400},
		"preview":          {armRequest(arm, clusterID, "/listClusterUserCredential?api-version=2024-09-02-preview&format=exec", token), 400},
		"no format":        {armRequest(arm, clusterID, "/listClusterUserCredential?api-version=2024-09-01", token), 400},
		"parameter":        {armRequest(arm, clusterID, credentialPath+"&more=1", token), 400},
		"fqdn":             {armRequest(arm, clusterID, credentialPath+"&server-fqdn=private", token), 400},
		"body":             {withBody(armRequest(arm, clusterID, credentialPath, token)), 400},
		"no authorization": {withoutHeader(armRequest(arm, clusterID, credentialPath, token), "Authorization"), 401},
		"method":           {withMethod(armRequest(arm, clusterID, credentialPath, token), "GET"), 404},
		"admin":            {armRequest(arm, clusterID, "/listClusterAdminCredential?api-version=2024-09-01", token), 404},
		"type":             {armRequest(arm, strings.Replace(clusterID, "managedClusters", "fleets", 1), credentialPath, token), 404},
		"other host":       {armRequest("https://login.microsoftonline.com", clusterID, credentialPath, token), 404},
	} {
		if got := sendARM(t, c, test.req); got.status != test.status {
			t.Errorf("%s: %+v", name, got)
		}
		if complaints := r.takeReports(); len(complaints) != 1 || !strings.HasPrefix(complaints[0], "entratest: ") {
			t.Errorf("%s: complaints %q", name, complaints)
		}
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

// Azure Resource Manager knows a person by his name.
func TestResourceManagerKnowsUsers(t *testing.T) {
	s := newServerWithUsers(t)
	c := newClient(t, s, false)
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: []string{alice}, Kubeconfig: "kind: Config\n"})
	for name, want := range map[string]int{alice: 200, "bob@contoso.onmicrosoft.com": 403} {
		s.RegisterUser(entratest.User{Tenant: tenantID, Name: name, Password: "p"})
		_, got := post(t, c, s, tenantID, "token", withValues(passwordForm(name, "p"), "client_id", cliClient, "scope", armScope))
		if answer := sendARM(t, c, armRequest(s.URL, clusterID, credentialPath, got.AccessToken)); answer.status != want {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}
