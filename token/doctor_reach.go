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
)

// azureRoots are the organizations whose root certificates Azure's services have theirs from.
// https://learn.microsoft.com/azure/security/fundamentals/azure-certificate-authority-details
var azureRoots = []string{"DigiCert Inc", "Microsoft Corporation", "D-Trust GmbH", "Baltimore"}

// journey is what became of a request on its way: the steps that were seen.
type journey struct {
	addresses []string // of the name that was looked up
	connected string   // with whom; "" where nobody answered
	secured   *tls.ConnectionState
}

// traced returns a context in which a request notes its way.
func traced(ctx context.Context) (context.Context, *journey) {
	j := &journey{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) {
			j.addresses = nil // a certificate that is refused at first has it looked up twice
			for _, a := range i.Addrs {
				j.addresses = append(j.addresses, a.String())
			}
		},
		GotConn: func(i httptrace.GotConnInfo) { j.connected = i.Conn.RemoteAddr().String() },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err == nil {
				j.secured = &state
			}
		},
	}), j
}

// Reach asks Entra ID for the tenant's public document, which needs no login, and says how the way there is: name, route, TLS, clock, tenant.
// It says nothing where the login asks somebody else, or a cluster's token proxy that need not have that document.
func (d *Diagnosis) Reach(ctx context.Context) []Finding {
	if d.wire.authority == "" || d.wire.proxy.url != nil {
		return nil
	}
	tenant := cmp.Or(d.request.TenantID, "common")
	document := d.wire.authority + strings.ToLower(tenant) + "/v2.0/.well-known/openid-configuration"
	if strings.EqualFold(tenant, "adfs") {
		document = d.wire.authority + "adfs/.well-known/openid-configuration"
	}
	ctx, done := context.WithTimeout(ctx, tryTimeout)
	defer done()
	ctx, j := traced(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, document, nil)
	if err != nil {
		return []Finding{{Status: Wrong, Check: "authority", Text: "its address and the tenant make no URL"}}
	}
	wr := d.wire
	connections := wr.connections()
	defer connections.CloseIdleConnections()
	wr.network, wr.last = connections, &outcome{}
	resp, err := wr.do(req)
	all := d.route(req, connections.proxyFor, j)
	if err != nil {
		broken := Finding{Status: Wrong, Check: "answer", Text: clean(cause(err, Request{})), Todo: causeHint(err, facts(d.request, d.world, Login{}, wr))}
		if words := signedBy(err); words != "" {
			broken.Check, broken.Text = "TLS", broken.Text+words
		}
		return append(all, broken)
	}
	all = append(all, d.security(resp.TLS), clock(resp, d.world.Now()))
	return append(all, d.tenant(tenant, resp, wr.last.refusal))
}

// route says by which way the authority was reached, or was to be.
func (d *Diagnosis) route(req *http.Request, proxyFor func(*http.Request) (*url.URL, error), j *journey) []Finding {
	host := req.URL.Hostname()
	found := Finding{Status: OK, Check: "authority", Text: d.wire.authority + d.request.from("authority-host")}
	if !d.wire.oneRequest && !isKnown(d.wire.authority) {
		found.Status, found.Text = Warning, found.Text+" is none of Microsoft's: "
		if d.request.DisableInstanceDiscovery {
			found.Text += "it is trusted because of --disable-instance-discovery"
		} else {
			found.Text += "Microsoft will be asked whether it knows it"
		}
	}
	way := Finding{Status: OK, Check: "route"}
	proxy, err := proxyFor(req)
	switch {
	case err == nil && proxy != nil:
		way.Text = "through the proxy " + address(proxy.String()) + " ($" + d.set("HTTPS_PROXY", "https_proxy") + ")"
	case d.set("HTTPS_PROXY", "https_proxy") != "":
		way.Text = "directly, past the proxy, as $" + cmp.Or(d.set("NO_PROXY", "no_proxy"), "NO_PROXY") + " says"
	default:
		way.Text = "directly"
	}
	if len(j.addresses) > 0 {
		way.Text += fmt.Sprintf("; %s is %s", cmp.Or(hostOf(proxy), host), strings.Join(j.addresses[:min(len(j.addresses), 4)], ", "))
	}
	if j.connected != "" {
		way.Text += "; connected with " + j.connected
	}
	if d.wire.region != "" {
		way.Text += "; the exchange goes to the region " + d.wire.region + " ($" + d.set("AZURE_REGIONAL_AUTHORITY_NAME", "MSAL_FORCE_REGION") + ")"
	}
	return []Finding{found, way}
}

func hostOf(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.Hostname()
}

// set is the first of the variables that is set; "" where none is.
func (d *Diagnosis) set(names ...string) string {
	for _, name := range names {
		if d.world.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// security says who vouches for the authority.
func (d *Diagnosis) security(state *tls.ConnectionState) Finding {
	leaf := state.PeerCertificates[0]
	root := leaf
	if len(state.VerifiedChains) > 0 {
		root = state.VerifiedChains[0][len(state.VerifiedChains[0])-1]
	}
	found := Finding{Status: OK, Check: "TLS", Text: fmt.Sprintf("%s, %s; a certificate for %s, signed by %s, good until %s",
		tls.VersionName(state.Version), cmp.Or(state.NegotiatedProtocol, "http/1.1"), namesOf(leaf), issuerOf(root), moment(leaf.NotAfter))}
	if file := d.set("SSL_CERT_FILE", "SSL_CERT_DIR"); file != "" {
		found.Text += ", as $" + file + " says"
	}
	if isKnown(d.wire.authority) && !slices.ContainsFunc(root.Subject.Organization, func(o string) bool { return slices.Contains(azureRoots, o) }) {
		found.Status = Warning
		found.Todo = "Azure has its certificates from others: whoever has that CA's key opens TLS on the way and sees federated tokens and secrets; see that this is meant so"
	}
	return found
}

// namesOf are those that a certificate is for.
func namesOf(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) > 3 {
		all = append(all[:3], "...")
	}
	return strings.Join(all, ", ")
}

func issuerOf(c *x509.Certificate) string {
	return "\"" + cmp.Or(c.Issuer.CommonName, strings.Join(c.Issuer.Organization, " "), "somebody without a name") + "\""
}

// signedBy says whose certificate was refused; "" where none was.
func signedBy(err error) string {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0 {
		return ""
	}
	shown := refused.UnverifiedCertificates
	return fmt.Sprintf("; the certificate is for %s and signed by %s", namesOf(shown[0]), issuerOf(shown[len(shown)-1]))
}

// clock compares this machine's time with the answer's.
func clock(resp *http.Response, now time.Time) Finding {
	found := Finding{Status: OK, Check: "clock"}
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return Finding{Status: Skipped, Check: found.Check, Text: "the answer does not say what time it is"}
	}
	ahead := now.Sub(there).Round(time.Second)
	word := "ahead of"
	if ahead < 0 {
		ahead, word = -ahead, "behind"
	}
	found.Text = "it agrees with Entra ID's"
	if ahead > 30*time.Second {
		found.Status, found.Text = Warning, fmt.Sprintf("this machine's clock is %s %s Entra ID's", length(ahead), word)
		found.Todo = "set it by NTP: what tokens are good for is judged by it"
	}
	if ahead > clockSlack {
		found.Status = Wrong
	}
	return found
}

// tenant reads the document's answer.
func (d *Diagnosis) tenant(tenant string, resp *http.Response, refusal *Refusal) Finding {
	found := Finding{Status: OK, Check: "tenant", Text: tenant + d.request.from("tenant-id") + " is there"}
	switch {
	case refusal != nil:
		found.Status, found.Text = Wrong, refusal.Error()
		found.Todo = fillIn(aadstsHints[refusal.AADSTS], facts(d.request, d.world, Login{}, d.wire))
		if refusal.Name == "" {
			found.Todo = "something else than Entra ID answered: a proxy, a firewall's page, or the wrong address"
		}
	case !isConfiguration(resp):
		found.Status, found.Text = Wrong, "the answer is not the document that Entra ID has for a tenant"
		found.Todo = "something else than Entra ID answered: a proxy, a firewall's page, or the wrong address"
	}
	return found
}

func isConfiguration(resp *http.Response) bool {
	var c struct {
		Issuer string `json:"issuer"`
	}
	return json.NewDecoder(resp.Body).Decode(&c) == nil && c.Issuer != ""
}
