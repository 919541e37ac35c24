package token

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// percentEncodingNote is the end of a hint about a proxy's user and password.
const percentEncodingNote = ", with characters like : / ? # @ % in them percent-encoded (@ as %40)"

// httpsProxyVariables name the proxy for https addresses.
var httpsProxyVariables = []string{"HTTPS_PROXY", "https_proxy"}

// checkProxyVariables rejects a proxy address that net/http would silently ignore.
func checkProxyVariables(getenv func(string) string) error {
	for _, name := range httpsProxyVariables {
		value := getenv(name)
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if (err != nil || u.Host == "") && !strings.Contains(value, "://") {
			u, err = url.Parse("http://" + value)
		}
		// An @ after the host means that a password has a slash, question mark or # in it.
		if err != nil || u.Hostname() == "" || strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") {
			return &UsageError{
				Text: "$" + name + " is not a proxy's address: it must be http://HOST:PORT",
				Hint: "for a proxy with a user and a password, it is http://USER:PASSWORD@HOST:PORT" + percentEncodingNote,
			}
		}
	}
	return nil
}

// Variables that the webhook for AKS identity bindings sets.
const (
	tokenProxyVariable       = "AZURE_KUBERNETES_TOKEN_PROXY"
	tokenProxySNIVariable    = "AZURE_KUBERNETES_SNI_NAME"
	tokenProxyCAFileVariable = "AZURE_KUBERNETES_CA_FILE"
	tokenProxyCADataVariable = "AZURE_KUBERNETES_CA_DATA"
)

// maxCASize is many times the size of a CA file, in bytes.
const maxCASize = 1 << 20

// readTokenProxy returns the cluster's token proxy, or the zero value if there is none or it is not
// to be used. The rules are azidentity's (WorkloadIdentityCredentialOptions.EnableAzureProxy).
func readTokenProxy(r Request, getenv func(string) string) (entra.TokenProxy, error) {
	none := entra.TokenProxy{}
	address := getenv(tokenProxyVariable)
	switch {
	case r.AzureTokenProxy == "off":
		return none, nil
	case address == "" && r.AzureTokenProxy == "on":
		return none, usageErrorf(
			"--azure-token-proxy=on needs $%s, and it is not set", tokenProxyVariable,
		)
	case address == "":
		for _, name := range []string{
			tokenProxySNIVariable,
			tokenProxyCAFileVariable,
			tokenProxyCADataVariable,
		} {
			if getenv(name) != "" {
				return none, usageErrorf(
					"$%s is set, but not $%s that it belongs to (--azure-token-proxy=off ignores both)",
					name, tokenProxyVariable,
				)
			}
		}
		return none, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" {
		return none, usageErrorf(
			"$%s is %q: it must be https://HOST/PATH without user, query or fragment",
			tokenProxyVariable, redact.URL(address),
		)
	}
	p := entra.TokenProxy{URL: u, SNIName: getenv(tokenProxySNIVariable)}
	if p.CA, err = readTokenProxyCA(getenv); err != nil || p.CA == nil {
		return p, err
	}
	p.Roots = x509.NewCertPool()
	if !p.Roots.AppendCertsFromPEM(p.CA) {
		return p, usageErrorf(
			"the token proxy's CA ($%s or $%s) has no certificate in PEM form",
			tokenProxyCAFileVariable, tokenProxyCADataVariable,
		)
	}
	return p, nil
}

// readTokenProxyCA returns the CA certificates of the token proxy, PEM. It returns nil if the
// system's certificates apply.
func readTokenProxyCA(getenv func(string) string) ([]byte, error) {
	file, data := getenv(tokenProxyCAFileVariable), getenv(tokenProxyCADataVariable)
	switch {
	case file != "" && data != "":
		return nil, usageErrorf(
			"both $%s and $%s are set: only one may be",
			tokenProxyCAFileVariable, tokenProxyCADataVariable,
		)
	case data != "":
		return []byte(data), nil
	case file == "":
		return nil, nil
	}
	ca, err := readRegularFile(file, maxCASize+1)
	if err == nil && len(ca) > maxCASize {
		err = fmt.Errorf("it has more than %d bytes", maxCASize)
	}
	if err != nil {
		return nil, fmt.Errorf(
			"read the token proxy's CA in %q ($%s): %w", file, tokenProxyCAFileVariable, err,
		)
	}
	return ca, nil
}
