package entra

import (
	"net/url"
	"testing"
)

func TestSecretsAreSentToAuthorityOnly(t *testing.T) {
	for _, c := range []struct {
		authority, region, url, method string
		want                           bool
	}{
		{"https://login.microsoftonline.com/", "", "https://login.microsoftonline.com/t/oauth2/v2.0/token", "POST", true},
		{"https://login.microsoftonline.com/", "", "https://LOGIN.microsoftonline.com/t/oauth2/v2.0/token", "POST", true},
		{"https://login.microsoftonline.com/", "", "http://login.microsoftonline.com/t/oauth2/v2.0/token", "POST", false},
		{"https://login.microsoftonline.com/", "", "https://login.microsoftonline.com:8443/t", "POST", false},
		{"https://login.microsoftonline.com/", "", "https://login.microsoftonline.com.evil.example/t", "POST", false},
		{"https://login.microsoftonline.com/", "", "https://westeurope.login.microsoft.com/t", "POST", false},
		{"https://login.microsoftonline.com/", "westeurope", "https://westeurope.login.microsoft.com/t", "POST", true},
		{"https://login.microsoftonline.com/", "westeurope", "https://evil.login.microsoft.com/t", "POST", false},
		{"https://login.microsoftonline.us/", "usgovvirginia", "https://usgovvirginia.login.microsoftonline.us/t", "POST", true},
		{"https://private.example/", "", "https://login.microsoftonline.com/common/discovery/instance", "GET", true},
		{"https://private.example/", "", "https://login.microsoftonline.com/t/oauth2/v2.0/token", "POST", false},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		tr := transport{Client: Client{Authority: c.authority, Region: c.region}}
		if err := tr.checkDestination(u, c.method); (err == nil) != c.want {
			t.Errorf("%s %s for %s: %v", c.method, c.url, c.authority, err)
		}
	}
}
