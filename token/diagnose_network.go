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
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// azureRootCAs are the organizations whose root certificates Azure's services have theirs from.
// https://learn.microsoft.com/azure/security/fundamentals/azure-certificate-authority-details
var azureRootCAs = []string{"DigiCert Inc", "Microsoft Corporation", "D-Trust GmbH", "Baltimore"}

// connectionTrace is what became of a request on its way: the steps that were seen.
type connectionTrace struct {
	addresses  []string // of the name that was looked up
	remoteAddr string   // with whom; "" where nobody answered
	tlsState   *tls.ConnectionState
}

// withConnectionTrace returns a context in which a request notes its way.
func withConnectionTrace(ctx context.Context) (context.Context, *connectionTrace) {
	j := &connectionTrace{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) {
			j.addresses = nil // a certificate that is refused at first has it looked up twice
			for _, a := range i.Addrs {
				j.addresses = append(j.addresses, a.String())
			}
		},
		GotConn: func(i httptrace.GotConnInfo) { j.remoteAddr = i.Conn.RemoteAddr().String() },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err == nil {
				j.tlsState = &state
			}
		},
	}), j
}

// CheckNetwork asks Entra ID for the tenant's public document, which needs no login, and says how
// the way there is: name, route, TLS, clock, tenant. It says nothing where the login asks somebody
// else, or a cluster's token proxy that need not have that document.
func (d *Diagnosis) CheckNetwork(ctx context.Context) []Finding {
	if d.client.Authority == "" || d.client.TokenProxy.URL != nil {
		return nil
	}
	tenant := cmp.Or(d.request.TenantID, "common")
	document := d.client.Authority + strings.ToLower(
		tenant,
	) + "/v2.0/.well-known/openid-configuration"
	if strings.EqualFold(tenant, "adfs") {
		document = d.client.Authority + "adfs/.well-known/openid-configuration"
	}
	ctx, done := context.WithTimeout(ctx, entra.RequestTimeout)
	defer done()
	ctx, j := withConnectionTrace(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, document, nil)
	if err != nil {
		return []Finding{
			{
				Status: StatusWrong,
				Check:  "authority",
				Text:   "its address and the tenant make no URL",
			},
		}
	}
	wr := d.client
	connections := wr.NewHTTPTransport()
	defer connections.CloseIdleConnections()
	wr.Network, wr.LastOutcome = connections, &entra.Outcome{}
	resp, err := wr.Do(req)
	all := d.routeFindings(req, connections.ProxyFor, j)
	if err != nil {
		broken := Finding{
			Status: StatusWrong,
			Check:  "answer",
			Text:   redact.Excerpt(causeText(err, Request{})),
			Todo:   causeHint(err, hintValues(d.request, d.options, Login{}, wr)),
		}
		if words := refusedCertificateText(err); words != "" {
			broken.Check, broken.Text = "TLS", broken.Text+words
		}
		return append(all, broken)
	}
	all = append(all, d.tlsFinding(resp.TLS), clockFinding(resp, d.options.Now()))
	return append(all, d.tenantFinding(tenant, resp, wr.LastOutcome.Refusal))
}

// routeFindings says by which way the authority was reached, or was to be.
func (d *Diagnosis) routeFindings(
	req *http.Request,
	proxyFor func(*http.Request) (*url.URL, error),
	j *connectionTrace,
) []Finding {
	host := req.URL.Hostname()
	found := Finding{
		Status: StatusOK,
		Check:  "authority",
		Text:   d.client.Authority + d.request.sourceNote("authority-host"),
	}
	if !d.client.SkipDiscovery && !isMicrosoftAuthority(d.client.Authority) {
		found.Status, found.Text = StatusWarning, found.Text+" is none of Microsoft's: "
		if d.request.DisableInstanceDiscovery {
			found.Text += "it is trusted because of --disable-instance-discovery"
		} else {
			found.Text += "Microsoft will be asked whether it knows it"
		}
	}
	way := Finding{Status: StatusOK, Check: "route"}
	proxy, err := proxyFor(req)
	switch {
	case err == nil && proxy != nil:
		way.Text = "through the proxy " + redact.URL(
			proxy.String(),
		) + " ($" + d.firstSet(
			"HTTPS_PROXY",
			"https_proxy",
		) + ")"
	case d.firstSet("HTTPS_PROXY", "https_proxy") != "":
		way.Text = "directly, past the proxy, as $" + cmp.Or(
			d.firstSet("NO_PROXY", "no_proxy"),
			"NO_PROXY",
		) + " says"
	default:
		way.Text = "directly"
	}
	if len(j.addresses) > 0 {
		way.Text += fmt.Sprintf(
			"; %s is %s",
			cmp.Or(hostname(proxy), host),
			strings.Join(j.addresses[:min(len(j.addresses), 4)], ", "),
		)
	}
	if j.remoteAddr != "" {
		way.Text += "; connected with " + j.remoteAddr
	}
	if d.client.Region != "" {
		way.Text += "; the exchange goes to the region " + d.client.Region + " ($" + d.firstSet(
			"AZURE_REGIONAL_AUTHORITY_NAME",
			"MSAL_FORCE_REGION",
		) + ")"
	}
	return []Finding{found, way}
}

func hostname(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.Hostname()
}

// firstSet is the first of the variables that is set; "" where none is.
func (d *Diagnosis) firstSet(names ...string) string {
	for _, name := range names {
		if d.options.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// tlsFinding says who vouches for the authority.
func (d *Diagnosis) tlsFinding(state *tls.ConnectionState) Finding {
	leaf := state.PeerCertificates[0]
	root := leaf
	if len(state.VerifiedChains) > 0 {
		root = state.VerifiedChains[0][len(state.VerifiedChains[0])-1]
	}
	found := Finding{
		Status: StatusOK,
		Check:  "TLS",
		Text: fmt.Sprintf(
			"%s, %s; a certificate for %s, signed by %s, good until %s",
			tls.VersionName(
				state.Version,
			),
			cmp.Or(state.NegotiatedProtocol, "http/1.1"),
			certificateNames(leaf),
			issuerName(root),
			formatTime(leaf.NotAfter),
		),
	}
	if file := d.firstSet("SSL_CERT_FILE", "SSL_CERT_DIR"); file != "" {
		found.Text += ", as $" + file + " says"
	}
	if isMicrosoftAuthority(d.client.Authority) &&
		!slices.ContainsFunc(
			root.Subject.Organization,
			func(o string) bool { return slices.Contains(azureRootCAs, o) },
		) {
		found.Status = StatusWarning
		found.Todo = "Azure has its certificates from others: whoever has that CA's key opens TLS on the way and sees federated tokens and secrets; see that this is meant so"
	}
	return found
}

// certificateNames are those that a certificate is for.
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

func issuerName(c *x509.Certificate) string {
	return "\"" + cmp.Or(
		c.Issuer.CommonName,
		strings.Join(c.Issuer.Organization, " "),
		"somebody without a name",
	) + "\""
}

// refusedCertificateText says whose certificate was refused; "" where none was.
func refusedCertificateText(err error) string {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0 {
		return ""
	}
	shown := refused.UnverifiedCertificates
	return fmt.Sprintf(
		"; the certificate is for %s and signed by %s",
		certificateNames(shown[0]),
		issuerName(shown[len(shown)-1]),
	)
}

// clockFinding compares this machine's time with the answer's.
func clockFinding(resp *http.Response, now time.Time) Finding {
	found := Finding{Status: StatusOK, Check: "clock"}
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return Finding{
			Status: StatusSkipped,
			Check:  found.Check,
			Text:   "the answer does not say what time it is",
		}
	}
	ahead := now.Sub(there).Round(time.Second)
	word := "ahead of"
	if ahead < 0 {
		ahead, word = -ahead, "behind"
	}
	found.Text = "it agrees with Entra ID's"
	if ahead > 30*time.Second {
		found.Status, found.Text = StatusWarning, fmt.Sprintf(
			"this machine's clock is %s %s Entra ID's",
			formatDuration(ahead),
			word,
		)
		found.Todo = "set it by NTP: what tokens are good for is judged by it"
	}
	if ahead > maxClockSkew {
		found.Status = StatusWrong
	}
	return found
}

// tenantFinding reads the document's answer.
func (d *Diagnosis) tenantFinding(
	tenant string,
	resp *http.Response,
	refusal *entra.Refusal,
) Finding {
	found := Finding{
		Status: StatusOK,
		Check:  "tenant",
		Text:   tenant + d.request.sourceNote("tenant-id") + " is there",
	}
	switch {
	case refusal != nil:
		found.Status, found.Text = StatusWrong, refusal.Error()
		found.Todo = expandHint(
			aadstsHints[refusal.AADSTS],
			hintValues(d.request, d.options, Login{}, d.client),
		)
		if refusal.OAuthError == "" {
			found.Todo = "something else than Entra ID answered: a proxy, a firewall's page, or the wrong address"
		}
	case !isOpenIDConfiguration(resp):
		found.Status, found.Text = StatusWrong, "the answer is not the document that Entra ID has for a tenant"
		found.Todo = "something else than Entra ID answered: a proxy, a firewall's page, or the wrong address"
	}
	return found
}

func isOpenIDConfiguration(resp *http.Response) bool {
	var c struct {
		Issuer string `json:"issuer"`
	}
	return json.NewDecoder(resp.Body).Decode(&c) == nil && c.Issuer != ""
}
