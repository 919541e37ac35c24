package token

import (
	"net/url"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// The URL of an accepted token proxy is an HTTPS URL without user, query or fragment.
func FuzzTokenProxy(f *testing.F) {
	f.Add("https://proxy.example/a/", "", "auto")
	f.Add("https://me:"+hiddenPassword+"@proxy.example/", "name", "on")
	f.Add("https://proxy.example/%2e%2e/..//", "", "")
	f.Add("https://[::1]:443",
		"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "on")
	f.Fuzz(func(t *testing.T, proxyURL, caData, mode string) {
		env := map[string]string{
			tokenProxyVariable:       proxyURL,
			tokenProxyCADataVariable: caData,
			"HTTPS_PROXY":            proxyURL,
		}
		getenv := func(name string) string { return env[name] }
		proxy, err := readTokenProxy(Request{AzureTokenProxy: mode}, getenv)
		if err != nil {
			// Errors quote the host.
			u, parseErr := url.Parse(proxyURL)
			if parseErr == nil && u.Host != "" && !strings.Contains(u.Host, hiddenPassword) {
				wantRedactedExplanation(t, err)
			}
		} else if u := proxy.URL; u != nil {
			if u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" ||
				caData != "" && proxy.Roots == nil {
				t.Fatalf("%q is accepted: %+v", proxyURL, proxy)
			}
		}
		if err := checkProxyVariables(getenv); err != nil {
			text := Explain(err).Text
			tokentest.WantRedacted(t, text)
			if strings.Contains(text, hiddenPassword) {
				t.Fatal(text)
			}
		}
	})
}
