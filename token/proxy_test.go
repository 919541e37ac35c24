package token

import (
	"net/url"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// An accepted token proxy is an https address without user, query or fragment.
func FuzzTokenProxy(f *testing.F) {
	f.Add("https://proxy.example/a/", "", "auto")
	f.Add("https://me:"+hiddenPassword+"@proxy.example/", "name", "on")
	f.Add("https://proxy.example/%2e%2e/..//", "", "")
	f.Add("https://[::1]:443", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "on")
	f.Fuzz(func(t *testing.T, address, data, mode string) {
		getenv := func(name string) string {
			return map[string]string{tokenProxyVariable: address, tokenProxyCADataVariable: data, "HTTPS_PROXY": address}[name]
		}
		p, err := readTokenProxy(Request{AzureTokenProxy: mode}, getenv)
		switch {
		case err != nil:
			if u, parseErr := url.Parse(address); parseErr == nil && u.Host != "" && !strings.Contains(u.Host, hiddenPassword) {
				wantRedactedExplanation(t, err)
			}
		case p.URL != nil:
			if p.URL.Scheme != "https" || p.URL.Host == "" || p.URL.User != nil || p.URL.RawQuery != "" || data != "" && p.Roots == nil {
				t.Fatalf("%q is taken: %+v", address, p)
			}
		}
		if err := checkProxyVariables(getenv); err != nil {
			e := Explain(err)
			tokentest.WantRedacted(t, e.Text)
			if strings.Contains(e.Text, hiddenPassword) {
				t.Fatal(e.Text)
			}
		}
	})
}
