package entra

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A request goes to the token proxy's host, below its path, and keeps its own Host header.
func FuzzTokenProxyRedirect(f *testing.F) {
	f.Add("https://proxy.example/a/")
	f.Add("https://proxy.example/%2e%2e/..//")
	f.Add("https://[::1]:443")
	f.Fuzz(func(t *testing.T, address string) {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Skip() // no such proxy is accepted
		}
		p := TokenProxy{URL: u}
		req := &http.Request{URL: &url.URL{Scheme: "https", Host: "login.example", Path: "/tenant/oauth2/v2.0/token"}, Header: http.Header{}}
		p.rewrite(req)
		if req.URL.Host != p.URL.Host || req.Host != "login.example" || req.URL.Scheme != "https" || !strings.HasSuffix(req.URL.Path, "/tenant/oauth2/v2.0/token") || !strings.HasPrefix(req.URL.Path, strings.TrimRight(p.URL.Path, "/")) {
			t.Fatalf("%q leads to %v for %q", address, req.URL, req.Host)
		}
	})
}
