package token

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// tokenProxy is the token endpoint inside a cluster with AKS identity bindings. The zero value is none: Entra ID is asked itself.
// https://learn.microsoft.com/azure/aks/identity-bindings-concepts
type tokenProxy struct {
	url     *url.URL
	sniName string
	ca      []byte         // PEM, as it was given
	roots   *x509.CertPool // ca read; takes the system's roots' place. nil: system roots
}

const (
	proxyVariable  = "AZURE_KUBERNETES_TOKEN_PROXY"
	sniVariable    = "AZURE_KUBERNETES_SNI_NAME"
	caFileVariable = "AZURE_KUBERNETES_CA_FILE"
	caDataVariable = "AZURE_KUBERNETES_CA_DATA"

	maxCA = 1 << 20
)

// tokenProxyFrom reads the variables that the identity binding's webhook sets, with azidentity's rules for them
// (WorkloadIdentityCredentialOptions.EnableAzureProxy).
func tokenProxyFrom(r Request, getenv func(string) string) (tokenProxy, error) {
	raw := getenv(proxyVariable)
	switch {
	case r.AzureTokenProxy == "off":
		return tokenProxy{}, nil
	case raw == "" && r.AzureTokenProxy == "on":
		return tokenProxy{}, usage("--azure-token-proxy=on needs $%s, and it is not set", proxyVariable)
	case raw == "":
		for _, companion := range []string{sniVariable, caFileVariable, caDataVariable} {
			if getenv(companion) != "" {
				return tokenProxy{}, usage("$%s is set, but not $%s that it belongs to (--azure-token-proxy=off ignores both)", companion, proxyVariable)
			}
		}
		return tokenProxy{}, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return tokenProxy{}, usage("$%s is %q: it must be https://HOST/PATH without user, query or fragment", proxyVariable, address(raw))
	}
	p := tokenProxy{url: u, sniName: getenv(sniVariable)}
	switch file, data := getenv(caFileVariable), getenv(caDataVariable); {
	case file != "" && data != "":
		return p, usage("both $%s and $%s are set: only one may be", caFileVariable, caDataVariable)
	case file != "":
		p.ca, err = readRegular(file, maxCA+1)
		if err == nil && len(p.ca) > maxCA {
			err = fmt.Errorf("it has more than %d bytes", maxCA)
		}
		if err != nil {
			return p, fmt.Errorf("read the token proxy's CA in %q ($%s): %w", file, caFileVariable, err)
		}
	case data != "":
		p.ca = []byte(data)
	}
	if p.ca == nil {
		return p, nil
	}
	p.roots = x509.NewCertPool()
	if !p.roots.AppendCertsFromPEM(p.ca) {
		return p, usage("the token proxy's CA ($%s or $%s) has no certificate in PEM form", caFileVariable, caDataVariable)
	}
	return p, nil
}

// identity tells proxies apart in the inputs of a stored token.
func (p tokenProxy) identity() string {
	if p.url == nil {
		return ""
	}
	ca := sha256.Sum256(p.ca)
	return p.url.String() + " " + p.sniName + " " + hex.EncodeToString(ca[:8])
}

// configure makes t, which has a TLSClientConfig of its own, expect the proxy's certificate.
func (p tokenProxy) configure(t *http.Transport) {
	if p.url == nil {
		return
	}
	t.TLSClientConfig.ServerName, t.TLSClientConfig.RootCAs = p.sniName, p.roots
}

// redirect sends a request for Entra ID to the proxy. The Host header still says where it is meant for.
func (p tokenProxy) redirect(req *http.Request) {
	if p.url == nil {
		return
	}
	if req.Host == "" {
		req.Host = req.URL.Host
	}
	u := *req.URL
	u.Scheme, u.Host = p.url.Scheme, p.url.Host
	u.Path = strings.TrimRight(p.url.Path, "/") + u.Path
	u.RawPath = ""
	req.URL = &u
}
