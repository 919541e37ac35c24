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
		wr, err := newClient(workloadIdentity, Request{Environment: e.names[0], TenantID: "t"}, Options{}.withDefaults())
		if err != nil || !wr.SkipDiscovery {
			t.Errorf("%s: %+v, %v", e.names[0], wr, err)
		}
	}
}

// Azure Resource Manager is the authority's cloud's, whatever says which that is.
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
			Login: workloadIdentityName, TenantID: "contoso.example", ClientID: "c", Environment: c.environment, AuthorityHost: c.authority,
			ServerID: "other", From: map[string]string{"server-id": "--server-id"},
		}
		got, endpoint, err := r.ForResourceManager()
		if c.endpoint == "" {
			var wrong *UsageError
			if !errors.As(err, &wrong) {
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
		if r.From["server-id"] != "--server-id" || got.From["server-id"] != "Azure Resource Manager" {
			t.Errorf("from %q, was from %q", got.From, r.From)
		}
	}
}

func TestRegionDisablesSkipDiscovery(t *testing.T) {
	w := Options{Getenv: func(name string) string {
		return map[string]string{"AZURE_REGIONAL_AUTHORITY_NAME": "westeurope"}[name]
	}}.withDefaults()
	wr, err := newClient(workloadIdentity, Request{}, w)
	if err != nil || wr.SkipDiscovery || wr.Region != "westeurope" {
		t.Errorf("%+v, %v", wr, err)
	}
}

// An authority that is taken is https://HOST/ and nothing else, reads the same again, and is
// Microsoft's by its whole name only.
func FuzzAuthority(f *testing.F) {
	for _, s := range []string{
		"https://login.microsoftonline.com", "https://LOGIN.microsoftonline.us:443//", "https://a:" + hiddenPassword + "@b/", "https://login.microsoftonline.com.evil/", `https://a\@b`, "https://[::1]:8443/", "https://[fe80::1%25a]/",
		"https://login.micrоsoftonline.com/", "https://a/?b#c", "https://a%2fb/", "https:///", "https://:443/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got, err := Request{AuthorityHost: host}.authority()
		if err != nil {
			if !strings.Contains(strings.ReplaceAll(host, "@", "\x00@"), hiddenPassword+"\x00@") {
				return // what stands in a host's place is repeated
			}
			wantRedactedExplanation(t, err)
			return
		}
		if host == "" {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || !redact.IsPlain(u.Host, ".-:[]") || got != "https://"+u.Host+"/" {
			t.Fatalf("%q became %q", host, got)
		}
		if again, err := (Request{AuthorityHost: got}).authority(); err != nil || again != got {
			t.Fatalf("%q became %q, and that %q, %v", host, got, again, err)
		}
		typed, err := url.Parse(host)
		if err != nil || !strings.EqualFold(typed.Hostname(), u.Hostname()) {
			t.Fatalf("%q became %q", host, got)
		}
		if isMicrosoftAuthority(got) && (u.Port() != "" || !strings.Contains(strings.ToLower(host), u.Host)) {
			t.Fatalf("%q is taken for Microsoft's", host)
		}
	})
}
