package entra

import (
	"net/url"
	"testing"
)

func TestSecretsAreSentToAuthorityOnly(t *testing.T) {
	const (
		public    = "https://login.microsoftonline.com/"
		usGov     = "https://login.microsoftonline.us/"
		tokenPath = "t/oauth2/v2.0/token"
	)
	for _, c := range []struct {
		authority, region, url, method string
		want                           bool
	}{
		{public, "", public + tokenPath, "POST", true},
		{public, "", "https://LOGIN.microsoftonline.com/" + tokenPath, "POST", true},
		{public, "", "http://login.microsoftonline.com/" + tokenPath, "POST", false},
		{public, "", "https://login.microsoftonline.com:8443/t", "POST", false},
		{public, "", "https://login.microsoftonline.com.evil.example/t", "POST", false},
		{public, "", "https://westeurope.login.microsoft.com/t", "POST", false},
		{public, "westeurope", "https://westeurope.login.microsoft.com/t", "POST", true},
		{public, "westeurope", "https://evil.login.microsoft.com/t", "POST", false},
		{usGov, "usgovvirginia", "https://usgovvirginia.login.microsoftonline.us/t", "POST", true},
		{"https://private.example/", "", public + "common/discovery/instance", "GET", true},
		{"https://private.example/", "", public + tokenPath, "POST", false},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		err = authority{c.authority, c.region}.checkDestination(u, c.method)
		if (err == nil) != c.want {
			t.Errorf("%s %s for %s: %v", c.method, c.url, c.authority, err)
		}
	}
}
