package entra

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A request goes to the token proxy's host, below the proxy's path, and keeps its Host header.
func FuzzTokenProxyRedirect(f *testing.F) {
	f.Add("https://proxy.example/a/")
	f.Add("https://proxy.example/%2e%2e/..//")
	f.Add("https://[::1]:443")
	f.Fuzz(func(t *testing.T, proxyURL string) {
		u, err := url.Parse(proxyURL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
			u.RawQuery != "" || u.Fragment != "" {
			t.Skip() // package token refuses such a proxy
		}
		const requestPath = "/tenant/oauth2/v2.0/token"
		req := &http.Request{
			URL:    &url.URL{Scheme: "https", Host: "login.example", Path: requestPath},
			Header: http.Header{},
		}
		TokenProxy{URL: u}.rewrite(req)
		if req.URL.Scheme != "https" || req.URL.Host != u.Host || req.Host != "login.example" ||
			!strings.HasPrefix(req.URL.Path, strings.TrimRight(u.Path, "/")) ||
			!strings.HasSuffix(req.URL.Path, requestPath) {
			t.Fatalf("%q: request to %v with Host %q", proxyURL, req.URL, req.Host)
		}
	})
}
