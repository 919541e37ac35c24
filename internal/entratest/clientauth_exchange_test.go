package entratest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

const exchangeAudience = "api://AzureADTokenExchange"

// identityAssertion returns a managed identity's token that is to be a client assertion.
func identityAssertion(t *testing.T, s *entratest.Server) string {
	t.Helper()
	query := "&client_id=" + nodeClient + "&resource=" + url.QueryEscape(exchangeAudience)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.IMDSURL+imdsPath+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata", "true")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	issued := s.IssuedTokens()
	if len(issued) != 1 {
		t.Fatal(resp.Status, len(issued))
	}
	return issued[0]
}

const nodeObject = "66666666-aaaa-4bbb-8ccc-000000000001"

// registerTrustingApp assigns a managed identity to the machine, and registers an application in
// its tenant that trusts it and has a service principal in otherTenant.
func registerTrustingApp(s *entratest.Server) entratest.App {
	s.AssignIdentity(entratest.ManagedIdentity{App: entratest.App{
		Tenant: tenantID, ClientID: nodeClient, ObjectID: nodeObject, ResourceID: nodeResource,
	}})
	issuer := "https://login.microsoftonline.com/" + tenantID + "/v2.0"
	app := entratest.App{
		Tenant:   otherTenant,
		ClientID: clientID,
		Secrets:  []string{"secret"},
		FederatedCredentials: []entratest.FederatedCredential{
			{Issuer: issuer, Subject: nodeObject},
			{Issuer: s.Issuer, Subject: subject},
		},
		RegisteredIn: tenantID,
	}
	s.Register(app)
	return app
}

// A managed identity's token is a client assertion of an application that is registered in the
// identity's tenant, also for the application's service principal in another tenant. Tokens that
// Entra ID issued for anything else, and applications registered elsewhere, are refused.
func TestManagedIdentityTokenAsAssertion(t *testing.T) {
	s := newServer(t)
	trusting := registerTrustingApp(s)
	c := directClient(t, s)
	post := func(form url.Values) response {
		t.Helper()
		got, err := doRequest(c, tokenRequest(s.URL, otherTenant, form))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	assertion := identityAssertion(t, s)
	if got := post(assertionForm(assertion)); got.status != 200 {
		t.Error(got)
	}
	if got := post(assertionForm(assertion[:len(assertion)-4] + "AAAA")); !got.refusedWith(700027) {
		t.Error("forged:", got)
	}

	// The same token by another way than a metadata service.
	s.Register(entratest.App{
		Tenant: tenantID, ClientID: clientID, ObjectID: nodeObject, Secrets: []string{"secret"},
		FederatedCredentials: trusting.FederatedCredentials,
	})
	scope := []string{"scope", exchangeAudience + "/.default"}
	byAssertion := withValues(validForm(s), scope...)
	bySecret := withValues(validForm(s), append(scope,
		"client_secret", "secret", "client_assertion", "", "client_assertion_type", "")...)
	for form, code := range map[*url.Values]int{
		&byAssertion: 700231,
		&bySecret:    700226,
	} {
		first, err := doRequest(c, tokenRequest(s.URL, tenantID, *form))
		if err != nil || first.status != 200 {
			t.Fatal(first, err)
		}
		if got := post(assertionForm(first.AccessToken)); !got.refusedWith(code) {
			t.Error(got)
		}
	}

	trusting.RegisteredIn = ""
	s.Register(trusting)
	if got := post(assertionForm(assertion)); !got.refusedWith(700236) {
		t.Error(got)
	}
	trusting.FederatedCredentials[0].Audience = exchangeAudience + "USGov"
	s.Register(trusting)
	if got := post(assertionForm(assertion)); !got.refusedWith(700212) {
		t.Error(got)
	}
}
