package token

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/redact"
)

func TestCloudAuthoritiesSkipDiscovery(t *testing.T) {
	for _, e := range environments {
		r := Request{Environment: e.names[0], TenantID: "t"}
		client, err := newClient(workloadIdentity, r, Options{}.withDefaults())
		if err != nil || !client.SkipDiscovery {
			t.Errorf("%s: %+v, %v", e.names[0], client, err)
		}
	}
}

// The endpoint of Azure Resource Manager is in the cloud of the authority, whether --environment or
// --authority-host selects the cloud.
func TestResourceManagerFollowsAuthority(t *testing.T) {
	for _, c := range []struct{ environment, authority, endpoint, audience string }{
		{"", "", "https://management.azure.com", "https://management.core.windows.net"},
		{"azurechinacloud", "", "https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn"},
		{"AzureUSGovernment", "", "https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net"},
		{"", "https://LOGIN.microsoftonline.us", "https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net"},
		{"", "https://login.partner.microsoftonline.cn/", "https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn"},
		{"", "https://sts.windows.net:443/", "https://management.azure.com", "https://management.core.windows.net"},
		{"AzureUSGovernment", "https://login.windows.net/", "https://management.azure.com", "https://management.core.windows.net"},
		{"AzurePublicCloud", "https://private.example/", "", ""},
		{"AzureMoonCloud", "", "", ""},
	} {
		r := Request{
			Login:         workloadIdentityName,
			TenantID:      "contoso.example",
			ClientID:      "c",
			Environment:   c.environment,
			AuthorityHost: c.authority,
			ServerID:      "other",
			From:          map[string]string{"server-id": "--server-id"},
		}
		got, endpoint, err := r.ForResourceManager()
		if c.endpoint == "" {
			if !errors.As(err, new(*UsageError)) {
				t.Errorf("%+v: %q, %v", c, endpoint, err)
			}
			continue
		}
		if err != nil || endpoint != c.endpoint || got.audience() != c.audience {
			t.Errorf("%+v: %q for %q, %v", c, endpoint, got.audience(), err)
		}
		if _, err := got.Check(); err != nil {
			t.Error(err)
		}
		if source := got.From["server-id"]; source != "Azure Resource Manager" {
			t.Errorf("server ID from %q", source)
		}
		if source := r.From["server-id"]; source != "--server-id" {
			t.Errorf("the original request was changed: server ID from %q", source)
		}
	}
}

func TestRegionDisablesSkipDiscovery(t *testing.T) {
	env := map[string]string{"AZURE_REGIONAL_AUTHORITY_NAME": "westeurope"}
	opts := Options{Getenv: func(name string) string { return env[name] }}.withDefaults()
	client, err := newClient(workloadIdentity, Request{}, opts)
	if err != nil || client.SkipDiscovery || client.Region != "westeurope" {
		t.Errorf("%+v, %v", client, err)
	}
}

// Only applications use regional addresses, and of MSAL's two words for a region none is a name.
func TestRegion(t *testing.T) {
	for _, c := range []struct {
		method             Method
		azure, msal        string
		region, inMessages string
	}{
		{workloadIdentity, "", "westeurope", "westeurope", ""},
		{servicePrincipal, "westeurope", "TryAutoDetect", "westeurope", ""},
		{servicePrincipal, "TryAutoDetect", "", "", "$AZURE_REGIONAL_AUTHORITY_NAME"},
		{azurePipelines, "", "tryautodetect", "", "$MSAL_FORCE_REGION"},
		{workloadIdentity, "disablemsalforceregion", "westeurope", "", ""},
		{deviceCode, "TryAutoDetect", "westeurope", "", ""},
		{usernamePassword, "westeurope", "", "", ""},
		{managedIdentity, "TryAutoDetect", "", "", ""},
	} {
		env := map[string]string{"AZURE_REGIONAL_AUTHORITY_NAME": c.azure, "MSAL_FORCE_REGION": c.msal}
		opts := Options{Getenv: func(name string) string { return env[name] }}.withDefaults()
		client, err := newClient(c.method, Request{}, opts)
		if client.Region != c.region || (err != nil) != (c.inMessages != "") {
			t.Errorf("%s: %+v: %q, %v", c.method.Name, env, client.Region, err)
		}
		var usage *UsageError
		if err != nil && (!errors.As(err, &usage) || !strings.Contains(usage.Text, c.inMessages) ||
			!strings.Contains(usage.Hint, "unset")) {
			t.Errorf("%+v: %v", env, err)
		}
	}
}

// The form of an accepted authority is https://HOST/, and parsing it again does not change it. Only
// the whole host name decides whether it is one of Microsoft's.
func FuzzAuthority(f *testing.F) {
	for _, seed := range []string{
		"https://login.microsoftonline.com", "https://LOGIN.microsoftonline.us:443//",
		"https://a:" + hiddenPassword + "@b/", "https://login.microsoftonline.com.evil/",
		`https://a\@b`, "https://[::1]:8443/", "https://[fe80::1%25a]/",
		"https://login.micrоsoftonline.com/", "https://a/?b#c", "https://a%2fb/", "https:///",
		"https://:443/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, flag string) {
		got, err := Request{AuthorityHost: flag}.authority()
		if err != nil {
			// The error quotes the host, so the password must be hidden only before an "@".
			if strings.Contains(flag, hiddenPassword+"@") {
				wantRedactedExplanation(t, err)
			}
			return
		}
		if flag == "" {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Host == "" || got != "https://"+u.Host+"/" || u.User != nil ||
			!redact.IsPlain(u.Host, ".-:[]") {
			t.Fatalf("%q became %q", flag, got)
		}
		if again, err := (Request{AuthorityHost: got}).authority(); err != nil || again != got {
			t.Fatalf("%q became %q, and that became %q, %v", flag, got, again, err)
		}
		original, err := url.Parse(flag)
		if err != nil || !strings.EqualFold(original.Hostname(), u.Hostname()) {
			t.Fatalf("%q became %q", flag, got)
		}
		hasHost := strings.Contains(strings.ToLower(flag), u.Host)
		if isMicrosoftAuthority(got) && (u.Port() != "" || !hasHost) {
			t.Fatalf("%q is taken for one of Microsoft's", flag)
		}
	})
}

// A private cloud's authority does not say which audience federated tokens have there.
func TestExchangeAudienceOfPrivateCloud(t *testing.T) {
	for _, test := range []struct{ environment, authority, want string }{
		{"", "https://login.private.example/", "api://AzureADTokenExchange"},
		{"AzureChinaCloud", "https://login.private.example/", "api://AzureADTokenExchangeChina"},
		{"AzureChinaCloud", "https://login.microsoftonline.us/", "api://AzureADTokenExchangeUSGov"},
		{"AzureUSGovernment", "", "api://AzureADTokenExchangeUSGov"},
	} {
		r := Request{Environment: test.environment, AuthorityHost: test.authority}
		if got := r.exchangeAudience(); got != test.want {
			t.Errorf("%s at %q: %s, want %s", test.environment, test.authority, got, test.want)
		}
	}
}
