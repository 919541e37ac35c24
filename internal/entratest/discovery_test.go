package entratest_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

func TestOpenIDConfiguration(t *testing.T) {
	s := newServer(t)
	proxied, direct := proxyClient(t, s), directClient(t, s)
	const usGov, path = "https://login.microsoftonline.us", "/.well-known/openid-configuration"
	for _, test := range []struct {
		client                   *http.Client
		url, issuer, token, jwks string
	}{
		{
			client: proxied,
			url:    publicCloud + "/" + domain + "/v2.0" + path,
			issuer: publicCloud + "/" + tenantID + "/v2.0",
			token:  publicCloud + "/" + tenantID + "/oauth2/v2.0/token",
			jwks:   publicCloud + "/" + tenantID + "/discovery/v2.0/keys",
		},
		{
			client: proxied,
			url:    usGov + "/" + tenantID + path,
			issuer: "https://sts.windows.net/" + tenantID + "/",
			token:  usGov + "/" + tenantID + "/oauth2/token",
			jwks:   usGov + "/" + tenantID + "/discovery/keys",
		},
		{
			client: direct,
			url:    s.URL + "/" + tenantID + "/v2.0" + path + "?",
			issuer: s.URL + "/" + tenantID + "/v2.0",
			token:  s.URL + "/" + tenantID + "/oauth2/v2.0/token",
			jwks:   s.URL + "/" + tenantID + "/discovery/v2.0/keys",
		},
	} {
		var doc struct {
			Issuer string
			Token  string `json:"token_endpoint"`
			JWKS   string `json:"jwks_uri"`
		}
		decodeJSON(t, getURL(t, test.client, test.url).raw, &doc)
		if doc.Issuer != test.issuer || doc.Token != test.token || doc.JWKS != test.jwks {
			t.Errorf("%s: %+v", test.url, doc)
		}
		if got := getURL(t, test.client, doc.JWKS).raw; got != string(s.JWKS()) {
			t.Errorf("%s: %s", doc.JWKS, got)
		}
	}
	got := getURL(t, direct, s.URL+"/not-there.example/v2.0"+path)
	if got.status != 400 || got.Error != "invalid_tenant" || !got.refusedWith(90002) {
		t.Error(got)
	}
}

func TestInstanceDiscovery(t *testing.T) {
	s := newServer(t)
	c := proxyClient(t, s)
	discover := func(authority string) response {
		q := url.Values{
			"api-version":            {"1.1"},
			"authorization_endpoint": {endpointURL(authority, tenantID, "authorize")},
		}
		return getURL(t, c, publicCloud+"/common/discovery/instance?"+q.Encode())
	}
	var doc struct {
		Discovery string `json:"tenant_discovery_endpoint"`
		Metadata  []struct {
			Network string `json:"preferred_network"`
			Cache   string `json:"preferred_cache"`
			Aliases []string
		}
	}
	const usGov = "https://login.microsoftonline.us"
	decodeJSON(t, discover(usGov).raw, &doc)
	if doc.Discovery != usGov+"/"+tenantID+"/v2.0/.well-known/openid-configuration" {
		t.Error(doc.Discovery)
	}
	m := doc.Metadata[0]
	if m.Network != "login.microsoftonline.com" || m.Cache != "login.windows.net" ||
		!slices.Contains(m.Aliases, "sts.windows.net") {
		t.Errorf("%+v", m)
	}
	got := discover(s.URL)
	if got.status != 400 || got.Error != "invalid_instance" || !got.refusedWith(50049) {
		t.Error(got)
	}
}

// The document of a shared tenant names only endpoints that the server serves.
func TestSharedTenantConfiguration(t *testing.T) {
	s := newServerWithUsers(t)
	var doc map[string]any
	docURL := s.URL + "/organizations/v2.0/.well-known/openid-configuration"
	decodeJSON(t, getURL(t, directClient(t, s), docURL).raw, &doc)
	wantClaims(t, doc, map[string]any{
		"issuer":                        s.URL + "/{tenantid}/v2.0",
		"token_endpoint":                endpointURL(s.URL, "organizations", "token"),
		"device_authorization_endpoint": endpointURL(s.URL, "organizations", "devicecode"),
		"authorization_endpoint":        endpointURL(s.URL, "organizations", "authorize"),
	})
}
