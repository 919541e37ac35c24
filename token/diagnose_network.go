package token

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// azureRootCAs are the organizations of the root certificates that Azure's services chain to.
// https://learn.microsoft.com/azure/security/fundamentals/azure-certificate-authority-details
var azureRootCAs = []string{"DigiCert Inc", "Microsoft Corporation", "D-Trust GmbH", "Baltimore"}

// connectionTrace records the steps of one request.
type connectionTrace struct {
	addresses  []string // result of the name lookup
	remoteAddr string   // peer of the connection; "" if there was none
	tlsState   *tls.ConnectionState
}

// withConnectionTrace returns a context in which a request fills in the trace.
func withConnectionTrace(ctx context.Context) (context.Context, *connectionTrace) {
	trace := &connectionTrace{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) {
			// After a refused certificate the request is sent again, with a second lookup.
			trace.addresses = nil
			for _, a := range i.Addrs {
				trace.addresses = append(trace.addresses, a.String())
			}
		},
		GotConn: func(i httptrace.GotConnInfo) { trace.remoteAddr = i.Conn.RemoteAddr().String() },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err == nil {
				trace.tlsState = &state
			}
		},
	}), trace
}

// CheckNetwork fetches the tenant's OpenID configuration from Entra ID, which needs no login. It
// reports on name lookup, route, TLS, clock and tenant. There are no findings if the login does not
// use Entra ID, or uses a cluster's token proxy, which may not have that document.
func (d *Diagnosis) CheckNetwork(ctx context.Context) []Finding {
	if d.client.Authority == "" || d.client.TokenProxy.URL != nil {
		return nil
	}
	tenant := cmp.Or(d.request.TenantID, "common")
	path := strings.ToLower(tenant)
	if path != "adfs" {
		path += "/v2.0"
	}
	address := d.client.Authority + path + "/.well-known/openid-configuration"
	ctx, cancel := context.WithTimeout(ctx, entra.RequestTimeout)
	defer cancel()
	ctx, trace := withConnectionTrace(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return []Finding{{
			Status: StatusError,
			Check:  "authority",
			Text:   "its address and the tenant do not form a valid URL",
		}}
	}
	client := d.client
	connections := client.NewHTTPTransport()
	defer connections.CloseIdleConnections()
	client.Network, client.LastOutcome = connections, &entra.Outcome{}
	resp, err := client.Do(req)
	all := d.routeFindings(req, connections.ProxyFor, trace)
	if err != nil {
		values := hintValues(d.request, d.options, Login{}, client)
		failed := Finding{
			Status: StatusError,
			Check:  "answer",
			Text:   redact.Excerpt(causeText(err, Request{})),
			Todo:   expandHint(causeHint(err, values), values),
		}
		if text := refusedCertificateText(err); text != "" {
			failed.Check, failed.Text = "TLS", failed.Text+text
		}
		return append(all, failed)
	}
	all = append(all, d.tlsFinding(resp.TLS), clockFinding(resp, d.options.Now()))
	return append(all, d.tenantFinding(tenant, resp, client.LastOutcome.Refusal))
}

// routeFindings reports which authority the request is for, and by which route it went.
func (d *Diagnosis) routeFindings(
	req *http.Request,
	proxyFor func(*http.Request) (*url.URL, error),
	trace *connectionTrace,
) []Finding {
	authority := Finding{
		Status: StatusOK,
		Check:  "authority",
		Text:   d.client.Authority + d.request.sourceNote("authority-host"),
	}
	if !d.client.SkipDiscovery && !isMicrosoftAuthority(d.client.Authority) {
		authority.Status = StatusWarning
		authority.Text += " is not one of Microsoft's: "
		if d.request.trustsAuthority() {
			authority.Text += "it is trusted because of --disable-instance-discovery"
		} else {
			authority.Text += "get-token asks Microsoft whether it knows this authority"
		}
	}
	route := Finding{Status: StatusInfo, Check: "route", Text: "directly"}
	host := req.URL.Hostname()
	proxyVariable := d.firstSet("HTTPS_PROXY", "https_proxy")
	proxy, err := proxyFor(req)
	if err == nil && proxy != nil {
		host = cmp.Or(proxy.Hostname(), host)
		route.Text = "through the proxy " + redact.URL(proxy.String()) + " ($" + proxyVariable + ")"
	} else if proxyVariable != "" {
		exception := cmp.Or(d.firstSet("NO_PROXY", "no_proxy"), "NO_PROXY")
		route.Text = "directly, not through the proxy, because of $" + exception
	}
	if n := len(trace.addresses); n > 0 {
		route.Text += "; " + host + " is " + strings.Join(trace.addresses[:min(n, 4)], ", ")
	}
	if trace.remoteAddr != "" {
		route.Status = StatusOK
		route.Text += "; connected with " + trace.remoteAddr
	}
	if d.client.Region != "" {
		variable := d.firstSet(regionVariables...)
		route.Text += "; the exchange goes to the region " + d.client.Region + " ($" + variable + ")"
	}
	return []Finding{authority, route}
}

// firstSet returns the first of the named variables that is set, or "".
func (d *Diagnosis) firstSet(names ...string) string {
	for _, name := range names {
		if d.options.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// tlsFinding reports the connection's TLS version and certificate. A root certificate that Azure
// does not use is a warning.
func (d *Diagnosis) tlsFinding(state *tls.ConnectionState) Finding {
	leaf := state.PeerCertificates[0]
	root := leaf
	if len(state.VerifiedChains) > 0 {
		chain := state.VerifiedChains[0]
		root = chain[len(chain)-1]
	}
	found := Finding{
		Status: StatusOK,
		Check:  "TLS",
		Text: fmt.Sprintf(
			"%s, %s; a certificate for %s, signed by %s, valid until %s",
			tls.VersionName(state.Version), cmp.Or(state.NegotiatedProtocol, "http/1.1"),
			certificateNames(leaf), issuerName(root), formatTime(leaf.NotAfter),
		),
	}
	found.Text += rootsNote(runtime.GOOS, d.options.Getenv)
	isAzureRootCA := func(o string) bool { return slices.Contains(azureRootCAs, o) }
	if isMicrosoftAuthority(d.client.Authority) &&
		!slices.ContainsFunc(root.Subject.Organization, isAzureRootCA) {
		found.Status = StatusWarning
		found.Todo = "Azure uses other CAs: the owner of this CA intercepts TLS and can read " +
			"federated tokens and secrets; check that this is intended"
	}
	return found
}

// certificateNames returns the names and addresses that c is for, at most three.
func certificateNames(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) > 3 {
		all = append(all[:3], "...")
	}
	return strings.Join(all, ", ")
}

// issuerName returns the name of c's issuer in quotes.
func issuerName(c *x509.Certificate) string {
	organization := strings.Join(c.Issuer.Organization, " ")
	return `"` + cmp.Or(c.Issuer.CommonName, organization, "an unnamed CA") + `"`
}

// refusedCertificateText describes the certificate that err refuses. It returns "" if err is about
// something else.
func refusedCertificateText(err error) string {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0 {
		return ""
	}
	chain := refused.UnverifiedCertificates
	return fmt.Sprintf(
		"; the certificate is for %s and signed by %s",
		certificateNames(chain[0]), issuerName(chain[len(chain)-1]),
	)
}

// clockFinding compares this machine's time with the response's Date.
func clockFinding(resp *http.Response, now time.Time) Finding {
	found := Finding{Status: StatusOK, Check: "clock", Text: "it agrees with Entra ID's"}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		found.Status, found.Text = StatusSkipped, "the answer has no valid Date header"
		return found
	}
	skew, direction := now.Sub(date).Round(time.Second), "ahead of"
	if skew < 0 {
		skew, direction = -skew, "behind"
	}
	if skew > 30*time.Second {
		found.Status = StatusWarning
		found.Text = fmt.Sprintf(
			"this machine's clock is %s %s Entra ID's", formatDuration(skew), direction,
		)
		found.Todo = "synchronize it with NTP: the clock decides whether a token counts as expired"
	}
	if skew > maxClockSkew {
		found.Status = StatusError
	}
	return found
}

// tenantFinding reports whether resp is the tenant's OpenID configuration.
func (d *Diagnosis) tenantFinding(
	tenant string,
	resp *http.Response,
	refusal *entra.Refusal,
) Finding {
	const notEntraHint = "something other than Entra ID answered: a proxy, a firewall's page, or the wrong address"
	found := Finding{
		Status: StatusOK,
		Check:  "tenant",
		Text:   tenant + d.request.sourceNote("tenant-id") + " exists",
	}
	switch {
	case refusal != nil && refusal.OAuthError == "":
		found.Status, found.Text, found.Todo = StatusError, refusal.Error(), notEntraHint
	case refusal != nil:
		values := hintValues(d.request, d.options, Login{}, d.client)
		found.Status, found.Text = StatusError, refusal.Error()
		found.Todo = expandHint(aadstsHints[refusal.AADSTS], values)
	case !isOpenIDConfiguration(resp):
		found.Status, found.Todo = StatusError, notEntraHint
		found.Text = "the answer is not a tenant's OpenID configuration"
	}
	return found
}

func isOpenIDConfiguration(resp *http.Response) bool {
	var c struct {
		Issuer string `json:"issuer"`
	}
	return json.NewDecoder(resp.Body).Decode(&c) == nil && c.Issuer != ""
}
