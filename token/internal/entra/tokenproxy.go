package entra

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
)

// TokenProxy is the token endpoint inside a cluster with AKS identity bindings, which forwards
// requests to Entra ID. The zero value means that requests go to Entra ID directly.
// https://learn.microsoft.com/azure/aks/identity-bindings-concepts
type TokenProxy struct {
	URL     *url.URL       // https://HOST/PATH; nil: no proxy
	SNIName string         // name that the proxy's certificate must have; "": the host of URL
	CA      []byte         // PEM data from which Roots was made
	Roots   *x509.CertPool // replaces the system's root certificates; nil: it does not
}

// CacheKey identifies the proxy among the inputs that identify a cached token. It is empty for the
// zero value.
func (p TokenProxy) CacheKey() string {
	if p.URL == nil {
		return ""
	}
	ca := sha256.Sum256(p.CA)
	return p.URL.String() + " " + p.SNIName + " " + hex.EncodeToString(ca[:8])
}

// configure makes t verify the proxy's certificate. t must have a TLSClientConfig of its own.
func (p TokenProxy) configure(t *http.Transport) {
	if p.URL == nil {
		return
	}
	t.TLSClientConfig.ServerName, t.TLSClientConfig.RootCAs = p.SNIName, p.Roots
}

// rewrite redirects a request for Entra ID to the proxy. The Host header keeps the host of Entra
// ID.
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
