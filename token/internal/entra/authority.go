package entra

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// authority is the server that may receive secrets.
type authority struct {
	url    string // https://HOST/
	region string // of its regional hosts, which may receive secrets too; may be empty
}

// includes reports whether host, with its port if the URL has one, belongs to the authority.
func (a authority) includes(host string) bool {
	u, err := url.Parse(a.url)
	if err != nil {
		return false
	}
	hosts := []string{u.Host}
	if a.region != "" {
		hosts = append(hosts, a.region+".login.microsoft.com", a.region+"."+u.Host)
	}
	return slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// checkDestination returns an error unless a request may be sent to u. A GET carries no secret, so
// it may go to any host over HTTPS; MSAL's instance discovery does. Every other request may only go
// to the authority, whatever a discovery document says.
func (a authority) checkDestination(u *url.URL, method string) error {
	if u.Scheme == "https" && (method == http.MethodGet || a.includes(u.Host)) {
		return nil
	}
	return NewPermanentError("discovery at %s named the token endpoint %s://%s, "+
		"and a credential is not sent to a second address",
		a.url, redact.Excerpt(u.Scheme), redact.Excerpt(u.Host))
}
