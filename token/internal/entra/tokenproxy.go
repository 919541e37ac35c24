package entra

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
)

// TokenProxy is the token endpoint inside a cluster with AKS identity bindings. The zero value is
// none: Entra ID is asked itself.
// https://learn.microsoft.com/azure/aks/identity-bindings-concepts
type TokenProxy struct {
	URL     *url.URL
	SNIName string
	CA      []byte         // PEM, as it was given
	Roots   *x509.CertPool // ca read; takes the system's roots' place. nil: system roots
}

// CacheKey tells proxies apart in the inputs of a stored token.
func (p TokenProxy) CacheKey() string {
	if p.URL == nil {
		return ""
	}
	ca := sha256.Sum256(p.CA)
	return p.URL.String() + " " + p.SNIName + " " + hex.EncodeToString(ca[:8])
}

// configure makes t, which has a TLSClientConfig of its own, expect the proxy's certificate.
func (p TokenProxy) configure(t *http.Transport) {
	if p.URL == nil {
		return
	}
	t.TLSClientConfig.ServerName, t.TLSClientConfig.RootCAs = p.SNIName, p.Roots
}

// rewrite sends a request for Entra ID to the proxy. The Host header still says where it is meant
// for.
func (p TokenProxy) rewrite(req *http.Request) {
	if p.URL == nil {
		return
	}
	if req.Host == "" {
		req.Host = req.URL.Host
	}
	u := *req.URL
	u.Scheme, u.Host = p.URL.Scheme, p.URL.Host
	u.Path = strings.TrimRight(p.URL.Path, "/") + u.Path
	u.RawPath = ""
	req.URL = &u
}
