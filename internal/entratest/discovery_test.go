package entratest_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

func TestOpenIDConfiguration(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, true)
	direct := newClient(t, s, false)
	for _, test := range []struct {
		c                        *http.Client
		url, issuer, token, jwks string
	}{
		{c, "https://login.microsoftonline.com/" + domain + "/v2.0/.well-known/openid-configuration",
			"https://login.microsoftonline.com/" + tenantID + "/v2.0", "https://login.microsoftonline.com/" + tenantID + "/oauth2/v2.0/token",
			"https://login.microsoftonline.com/" + tenantID + "/discovery/v2.0/keys"},
		{c, "https://login.microsoftonline.us/" + tenantID + "/.well-known/openid-configuration",
			"https://sts.windows.net/" + tenantID + "/", "https://login.microsoftonline.us/" + tenantID + "/oauth2/token",
			"https://login.microsoftonline.us/" + tenantID + "/discovery/keys"},
		{direct, s.URL + "/" + tenantID + "/v2.0/.well-known/openid-configuration?",
			s.URL + "/" + tenantID + "/v2.0", s.URL + "/" + tenantID + "/oauth2/v2.0/token", s.URL + "/" + tenantID + "/discovery/v2.0/keys"},
	} {
		var doc struct {
			Issuer string
			Token  string `json:"token_endpoint"`
			JWKS   string `json:"jwks_uri"`
		}
		decodeJSON(t, getURL(t, test.c, test.url).raw, &doc)
		if doc.Issuer != test.issuer || doc.Token != test.token || doc.JWKS != test.jwks {
			t.Errorf("%s: %+v", test.url, doc)
		}
		if got := getURL(t, test.c, doc.JWKS).raw; got != string(s.JWKS()) {
			t.Errorf("%s: %s", doc.JWKS, got)
		}
	}
	got := getURL(t, direct, s.URL+"/not-there.example/v2.0/.well-known/openid-configuration")
	if got.status != 400 || got.Error != "invalid_tenant" || !slices.Equal(got.Codes, []int{90002}) {
		t.Error(got.raw)
	}
}

func TestInstanceDiscovery(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, true)
	ask := func(authority string) response {
		q := url.Values{"api-version": {"1.1"}, "authorization_endpoint": {authority + "/" + tenantID + "/oauth2/v2.0/authorize"}}
		return getURL(t, c, "https://login.microsoftonline.com/common/discovery/instance?"+q.Encode())
	}
	var doc struct {
		Discovery string `json:"tenant_discovery_endpoint"`
		Metadata  []struct {
			Network string `json:"preferred_network"`
			Cache   string `json:"preferred_cache"`
			Aliases []string
		}
	}
	decodeJSON(t, ask("https://login.microsoftonline.us").raw, &doc)
	if doc.Discovery != "https://login.microsoftonline.us/"+tenantID+"/v2.0/.well-known/openid-configuration" {
		t.Error(doc.Discovery)
	}
	if m := doc.Metadata[0]; m.Network != "login.microsoftonline.com" || m.Cache != "login.windows.net" || !slices.Contains(m.Aliases, "sts.windows.net") {
		t.Errorf("%+v", m)
	}
	if got := ask(s.URL); got.status != 400 || got.Error != "invalid_instance" || !slices.Equal(got.Codes, []int{50049}) {
		t.Error(got.raw)
	}
}

// Shared endpoints are documented with addresses that are served.
func TestSharedTenantConfiguration(t *testing.T) {
	s := newServerWithUsers(t)
	var doc map[string]any
	decodeJSON(t, getURL(t, newClient(t, s, false), s.URL+"/organizations/v2.0/.well-known/openid-configuration").raw, &doc)
	wantClaims(t, doc, map[string]any{
		"issuer": s.URL + "/{tenantid}/v2.0", "token_endpoint": s.URL + "/organizations/oauth2/v2.0/token",
		"device_authorization_endpoint": s.URL + "/organizations/oauth2/v2.0/devicecode", "authorization_endpoint": s.URL + "/organizations/oauth2/v2.0/authorize",
	})
}
