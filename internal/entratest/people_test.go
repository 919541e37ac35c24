package entratest_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/akslogin/akslogin/internal/entratest"
)

const (
	alice         = "Alice@contoso.onmicrosoft.com"
	alicePassword = "correct horse"
	aksClient     = "80faf920-1908-4b52-b5ef-a8e7bedfc67a" // in every kubeconfig of az aks get-credentials
	cliClient     = "04b07795-8ddb-461a-bbee-02f9e1bf7b46" // the Azure CLI
	otherTenant   = "22222222-3333-4444-8555-666666666666"
	aksScope      = entratest.AKSServerID + "/.default"
	armScope      = "https://management.core.windows.net//.default"
	oidc          = " openid offline_access profile"
)

// inhabited is a server with people in two tenants.
func inhabited(tb entratest.TB) *entratest.Server {
	s := entratest.New(tb)
	s.Register(app(s))
	s.RegisterUser(entratest.User{Tenant: tenantID, Name: alice, Password: alicePassword, Groups: []string{"group-1"}})
	s.RegisterUser(entratest.User{Tenant: tenantID, Name: "mia@contoso.onmicrosoft.com", Password: "m", MFA: true})
	s.RegisterUser(entratest.User{Tenant: tenantID, Name: "dora@contoso.onmicrosoft.com", Password: "d", Refusal: 50057})
	s.RegisterUser(entratest.User{Tenant: otherTenant, Name: "oscar@fabrikam.example", Password: "o"})
	return s
}

// clientOptions make azidentity ask s, through a transport that trusts it.
func clientOptions(t *testing.T, s *entratest.Server) azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: s.URL},
		Transport: client(t, s, false),
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*soon)
	t.Cleanup(cancel)
	return ctx
}

var aksToken = policy.TokenRequestOptions{Scopes: []string{aksScope}}

// claimed fails unless a token has the claims; nil means that it must not have it.
func claimed(t *testing.T, claims map[string]any, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if !reflect.DeepEqual(claims[name], value) {
			t.Errorf("claim %s: %v, want %v", name, claims[name], value)
		}
	}
}

func verified(t *testing.T, s *entratest.Server, token string) map[string]any {
	t.Helper()
	claims, err := s.Verify(token, entratest.AKSServerID)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// sent fails unless the requests were these, each as "endpoint tenant parameters", without what differs from run to run.
func sent(t *testing.T, s *entratest.Server, want ...string) {
	t.Helper()
	var got []string
	for _, r := range s.Sent() {
		got = append(got, r.Endpoint+" "+r.Tenant+" "+strings.Join(slices.Sorted(maps.Keys(r.Form)), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// personal is what a person's answer has beside the access token.
type personal struct {
	Error        string `json:"error"`
	Codes        []int  `json:"error_codes"`
	Description  string `json:"error_description"`
	Suberror     string `json:"suberror"`
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope"`
	IDToken      string `json:"id_token"`
	ClientInfo   string `json:"client_info"`
	RefreshToken string `json:"refresh_token"`
	Family       string `json:"foci"`
	DeviceCode   string `json:"device_code"`
	UserCode     string `json:"user_code"`
	Interval     int    `json:"interval"`
	ExpiresIn    int    `json:"expires_in"`
	Message      string `json:"message"`
	Page         string `json:"verification_uri"`
}

// post sends a form to one of Entra's endpoints.
func post(t *testing.T, c *http.Client, s *entratest.Server, tenant, endpoint string, f url.Values) (int, personal) {
	t.Helper()
	req, err := http.NewRequest("POST", s.URL+"/"+tenant+"/oauth2/v2.0/"+endpoint, strings.NewReader(f.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	a, err := do(c, req)
	if err != nil {
		t.Fatal(err)
	}
	var p personal
	decode(t, a.raw, &p)
	return a.status, p
}

// A refusedCase is a token request that Entra refuses.
type refusedCase struct {
	name   string
	tenant string
	form   url.Values
	code   int
	error  string
	status int
}

// refused runs the cases, none of which is reported or gets a token.
func refused(t *testing.T, s *entratest.Server, cases []refusedCase) {
	c := client(t, s, false)
	issued := s.Issued()
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			status, got := post(t, c, s, test.tenant, "token", test.form)
			if status != test.status || got.Error != test.error || !slices.Equal(got.Codes, []int{test.code}) || !strings.HasPrefix(got.Description, fmt.Sprintf("AADSTS%d: ", test.code)) {
				t.Errorf("%d %+v", status, got)
			}
			if strings.ContainsAny(strings.ReplaceAll(got.Description, "{EmailHidden}", ""), "{}") {
				t.Errorf("description %q has a word that was not filled in", got.Description)
			}
		})
	}
	if s.Issued() != issued {
		t.Errorf("%d tokens issued", s.Issued()-issued)
	}
}

// with is a form with other values; "" takes a parameter out.
func with(f url.Values, pairs ...string) url.Values {
	f = maps.Clone(f)
	for pair := range slices.Chunk(pairs, 2) {
		f.Set(pair[0], pair[1])
		if pair[1] == "" {
			f.Del(pair[0])
		}
	}
	return f
}

// Answers for people carry what MSAL keeps of them.
func TestPersonalAnswer(t *testing.T) {
	s := inhabited(t)
	c := client(t, s, false)
	f := passwordForm(alice, alicePassword)
	_, got := post(t, c, s, "organizations", "token", f)
	claims := verified(t, s, got.AccessToken)
	claimed(t, claims, map[string]any{
		"tid": tenantID, "upn": alice, "unique_name": alice, "scp": "user_impersonation", "appid": aksClient, "appidacr": "0",
		"idtyp": nil, "cnf": nil, "groups": []any{"group-1"}, "amr": []any{"pwd"},
	})
	id, err := s.Verify(got.IDToken, aksClient)
	if err == nil {
		t.Errorf("an ID token is taken for an access token: %v", id)
	}
	var idClaims map[string]any
	decode(t, string(b64(t, strings.Split(got.IDToken, ".")[1])), &idClaims)
	claimed(t, idClaims, map[string]any{
		"aud": aksClient, "iss": "https://login.microsoftonline.com/" + tenantID + "/v2.0", "tid": tenantID, "oid": claims["oid"], "preferred_username": alice, "ver": "2.0",
	})
	if idClaims["sub"] == claims["sub"] || idClaims["sub"] == "" {
		t.Errorf("sub %v of the client is that of the resource", idClaims["sub"])
	}
	if info, want := string(b64(t, got.ClientInfo)), fmt.Sprintf(`{"uid":%q,"utid":%q}`, claims["oid"], tenantID); info != want {
		t.Errorf("client_info %s, want %s", info, want)
	}
	if got.Scope != aksScope+" "+entratest.AKSServerID+"/user_impersonation" || got.RefreshToken == "" || got.Family != "" || got.TokenType != "Bearer" {
		t.Errorf("%+v", got)
	}
	if _, got := post(t, c, s, tenantID, "token", with(f, "scope", aksScope, "client_info", "", "client_id", cliClient)); got.IDToken+got.ClientInfo+got.RefreshToken+got.Family != "" {
		t.Errorf("not asked for: %+v", got)
	}
	if _, got := post(t, c, s, tenantID, "token", with(f, "client_id", cliClient)); got.Family != "1" {
		t.Errorf("foci %q", got.Family)
	}
	var secrets []string
	for _, secret := range s.SeenSecrets() {
		if secret == got.RefreshToken || secret == got.IDToken || secret == alicePassword {
			secrets = append(secrets, secret)
		}
	}
	if len(secrets) != 3 {
		t.Errorf("secrets seen: %q", secrets)
	}
	s.ResetCounters()
	if len(s.Sent()) != 0 || len(s.SeenSecrets()) < 3 {
		t.Errorf("after a reset: %v, %d secrets", s.Sent(), len(s.SeenSecrets()))
	}
}

// Shared endpoints are documented with addresses that are served.
func TestSharedDocuments(t *testing.T) {
	s := inhabited(t)
	var doc map[string]any
	decode(t, getURL(t, client(t, s, false), s.URL+"/organizations/v2.0/.well-known/openid-configuration").raw, &doc)
	claimed(t, doc, map[string]any{
		"issuer": s.URL + "/{tenantid}/v2.0", "token_endpoint": s.URL + "/organizations/oauth2/v2.0/token",
		"device_authorization_endpoint": s.URL + "/organizations/oauth2/v2.0/devicecode", "authorization_endpoint": s.URL + "/organizations/oauth2/v2.0/authorize",
	})
}

// Azure Resource Manager knows a person by his name.
func TestPersonAtResourceManager(t *testing.T) {
	s := inhabited(t)
	c := client(t, s, false)
	s.RegisterCluster(entratest.Cluster{Tenant: tenantID, ID: clusterID, Users: []string{alice}, Kubeconfig: "kind: Config\n"})
	for name, want := range map[string]int{alice: 200, "bob@contoso.onmicrosoft.com": 403} {
		s.RegisterUser(entratest.User{Tenant: tenantID, Name: name, Password: "p"})
		_, got := post(t, c, s, tenantID, "token", with(passwordForm(name, "p"), "client_id", cliClient, "scope", armScope))
		if answer := askARM(t, c, armRequest(s.URL, clusterID, credential, got.AccessToken)); answer.status != want {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}

func TestUserRealm(t *testing.T) {
	s := inhabited(t)
	c := client(t, s, false)
	ask := func(name string) map[string]any {
		var realm map[string]any
		decode(t, getURL(t, c, s.URL+"/common/UserRealm/"+url.PathEscape(name)+"?api-version=1.0").raw, &realm)
		return realm
	}
	claimed(t, ask(alice), map[string]any{"account_type": "Managed", "domain_name": domain, "cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": "urn:federation:MicrosoftOnline"})
	claimed(t, ask("nobody@nowhere.example"), map[string]any{"account_type": "Unknown", "domain_name": nil})
	s.SetRealm("fabrikam.example", "https://adfs.fabrikam.example/mex")
	claimed(t, ask("oscar@fabrikam.example"), map[string]any{"account_type": "Federated", "federation_metadata_url": "https://adfs.fabrikam.example/mex"})
}

// The texts of all refusals are filled, whoever asked.
func TestRefusalsAreFilled(t *testing.T) {
	s := inhabited(t)
	for _, code := range []int{
		50011, 50034, 50053, 50055, 50057, 50076, 50079, 50126, 50158, 50173, 50194, 53000, 53003, 54005, 65001, 65004, 70008, 70016, 70018, 70019, 70020, 70043,
		700003, 700082, 700084, 7000215, 7000218, 7000222, 9002341,
	} {
		s.FailNext(1, entratest.Failure{AADSTS: code})
		status, got := post(t, client(t, s, false), s, tenantID, "token", passwordForm(alice, alicePassword))
		if !slices.Equal(got.Codes, []int{code}) || status != 400 && (status != 401 || got.Error != "invalid_client") {
			t.Errorf("%d %+v", status, got)
		}
		if text := strings.ReplaceAll(got.Description, "{EmailHidden}", ""); strings.ContainsAny(text, "{}") {
			t.Errorf("description %q", text)
		}
	}
}
