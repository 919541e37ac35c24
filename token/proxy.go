package token

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// checkProxyVariables refuses a proxy that cannot be one: net/http would go on without it.
func checkProxyVariables(getenv func(string) string) error {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		value := getenv(name)
		u, err := url.Parse(value)
		if (err != nil || u.Host == "") && !strings.Contains(value, "://") {
			u, err = url.Parse("http://" + value)
		}
		switch {
		case value == "":
		case err != nil || u.Hostname() == "" || strings.Contains(u.Path+u.RawQuery+u.Fragment, "@"): // the last part of a password, as it seems
			return &UsageError{
				Text: "$" + name + " is no proxy's address: it must be http://HOST:PORT",
				Hint: "where the proxy wants a user and a password, it is http://USER:PASSWORD@HOST:PORT" + percentEncodingNote,
			}
		}
	}
	return nil
}

const (
	tokenProxyVariable = "AZURE_KUBERNETES_TOKEN_PROXY"

	tokenProxySNIVariable = "AZURE_KUBERNETES_SNI_NAME"

	tokenProxyCAFileVariable = "AZURE_KUBERNETES_CA_FILE"

	tokenProxyCADataVariable = "AZURE_KUBERNETES_CA_DATA"

	maxCASize = 1 << 20
)

// readTokenProxy reads the variables that the identity binding's webhook sets, with azidentity's
// rules for them (WorkloadIdentityCredentialOptions.EnableAzureProxy).
func readTokenProxy(r Request, getenv func(string) string) (entra.TokenProxy, error) {
	raw := getenv(tokenProxyVariable)
	switch {
	case r.AzureTokenProxy == "off":
		return entra.TokenProxy{}, nil
	case raw == "" && r.AzureTokenProxy == "on":
		return entra.TokenProxy{}, usageErrorf(
			"--azure-token-proxy=on needs $%s, and it is not set",
			tokenProxyVariable,
		)
	case raw == "":
		for _, companion := range []string{tokenProxySNIVariable, tokenProxyCAFileVariable, tokenProxyCADataVariable} {
			if getenv(companion) != "" {
				return entra.TokenProxy{}, usageErrorf(
					"$%s is set, but not $%s that it belongs to (--azure-token-proxy=off ignores both)",
					companion,
					tokenProxyVariable,
				)
			}
		}
		return entra.TokenProxy{}, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" {
		return entra.TokenProxy{}, usageErrorf(
			"$%s is %q: it must be https://HOST/PATH without user, query or fragment",
			tokenProxyVariable,
			redact.URL(raw),
		)
	}
	p := entra.TokenProxy{URL: u, SNIName: getenv(tokenProxySNIVariable)}
	switch file, data := getenv(tokenProxyCAFileVariable), getenv(tokenProxyCADataVariable); {
	case file != "" && data != "":
		return p, usageErrorf(
			"both $%s and $%s are set: only one may be",
			tokenProxyCAFileVariable,
			tokenProxyCADataVariable,
		)
	case file != "":
		p.CA, err = readRegularFile(file, maxCASize+1)
		if err == nil && len(p.CA) > maxCASize {
			err = fmt.Errorf("it has more than %d bytes", maxCASize)
		}
		if err != nil {
			return p, fmt.Errorf(
				"read the token proxy's CA in %q ($%s): %w",
				file,
				tokenProxyCAFileVariable,
				err,
			)
		}
	case data != "":
		p.CA = []byte(data)
	}
	if p.CA == nil {
		return p, nil
	}
	p.Roots = x509.NewCertPool()
	if !p.Roots.AppendCertsFromPEM(p.CA) {
		return p, usageErrorf(
			"the token proxy's CA ($%s or $%s) has no certificate in PEM form",
			tokenProxyCAFileVariable,
			tokenProxyCADataVariable,
		)
	}
	return p, nil
}
