package token

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

const (
	maxAnswer  = 1 << 20
	maxRetries = 3
	tryTimeout = 10 * time.Second // for one request; a run has Request.Timeout
	maxLife    = 48 * time.Hour   // Entra ID's longest is 28 hours; what says more is not believed
)

// wire is the way to Entra ID for one exchange, or to a service for one request that carries a token. It remembers how the last request
// ended, which azidentity's errors do not tell.
type wire struct {
	authority  string // https://HOST/, the only one that is given what is secret
	oneRequest bool   // the token endpoint's address is known and nobody needs to be asked for it
	region     string
	proxy      tokenProxy
	pace       time.Duration
	last       *outcome
	network    http.RoundTripper // connections, of one exchange

	granted func(body []byte) ([]byte, error) // looks at the answer to a POST that succeeded before anybody else does; nil: nobody
}

// outcome is how the last request ended: with an answer, or with an error.
type outcome struct {
	asked string // https://HOST/
	err   error
}

// isKnown tells whether an https://HOST/ is one of Entra ID's own, where the token endpoint is https://HOST/TENANT/oauth2/v2.0/token: discovery
// documents say nothing there that is not known.
func isKnown(address string) bool {
	_, known := environmentAt(address)
	return known
}

// regionFrom is the regional endpoint that azidentity and MSAL would choose on their own.
func regionFrom(getenv func(string) string) string {
	if region := getenv("AZURE_REGIONAL_AUTHORITY_NAME"); region != "" {
		return region
	}
	return getenv("MSAL_FORCE_REGION")
}

func newWire(r Request, w World) (wire, error) {
	authority, err := r.authority()
	if err != nil {
		return wire{}, err
	}
	proxy, err := tokenProxyFrom(r, w.Getenv)
	if err != nil {
		return wire{}, err
	}
	if err := checkProxy(w.Getenv); err != nil {
		return wire{}, err
	}
	region := regionFrom(w.Getenv)
	return wire{
		authority: authority, proxy: proxy, region: region, pace: w.Pace, last: &outcome{}, granted: checkAnswer,
		oneRequest: isKnown(authority) && region == "" && !strings.EqualFold(r.TenantID, "adfs"),
	}, nil
}

// checkProxy refuses a proxy that cannot be one: net/http would go on without it.
func checkProxy(getenv func(string) string) error {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		value := getenv(name)
		if u, err := url.Parse(value); value == "" || err == nil && u.Host != "" {
			continue
		}
		if u, err := url.Parse("http://" + value); err != nil || u.Hostname() == "" {
			return usage("$%s is no proxy's address: it must be http://HOST:PORT", name)
		}
	}
	return nil
}

// options are azcore's, with our transport and our patience.
// ctx is the run's: its end bounds how long a server may ask to be left alone.
func (wr wire) options(ctx context.Context, tenant string) azcore.ClientOptions {
	o := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: wr.authority},
		Telemetry: policy.TelemetryOptions{ApplicationID: "akslogin"},
		Transport: wr.transport(),
		Retry: policy.RetryOptions{
			MaxRetries: maxRetries, RetryDelay: wr.pace, MaxRetryDelay: time.Hour, TryTimeout: tryTimeout,
			ShouldRetry: func(resp *http.Response, err error) bool { return shouldRetry(ctx, resp, err) },
		},
	}
	if wr.oneRequest {
		o.PerCallPolicies = []policy.Policy{discovery{wr.authority + tenant}}
	}
	return o
}

// discovery answers the request for a tenant's openid-configuration, which MSAL makes before the first token request, from what is
// known. It is a policy and not part of the transport so that retries and logging do not see it.
type discovery struct{ tenantURL string }

func (d discovery) Do(req *policy.Request) (*http.Response, error) {
	raw := req.Raw()
	asked := url.URL{Scheme: raw.URL.Scheme, Host: raw.URL.Host, Path: raw.URL.Path}
	if raw.Method != http.MethodGet || !strings.EqualFold(asked.String(), d.tenantURL+"/v2.0/.well-known/openid-configuration") {
		return req.Next()
	}
	document, err := json.Marshal(map[string]string{
		"authorization_endpoint": d.tenantURL + "/oauth2/v2.0/authorize",
		"token_endpoint":         d.tenantURL + "/oauth2/v2.0/token",
		"issuer":                 d.tenantURL + "/v2.0",
	})
	return answer(raw, &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}},
	}, document), err
}

// answer completes resp with a body that is in memory.
func answer(req *http.Request, resp *http.Response, body []byte) *http.Response {
	resp.Request, resp.Body, resp.ContentLength = req, io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp
}

// transport sends requests. What an answer must not do is refused here, before MSAL sees it: MSAL puts a body that it does not
// understand into its error, access token and all.
type transport struct {
	wire
	client *http.Client
}

func (wr wire) transport() *transport {
	return &transport{wr, &http.Client{
		Transport:     wr.network,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// connections are the real network.
func (wr wire) connections() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() // proxy variables, timeouts of dialling and handshake
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		return &proxyRefusal{resp.StatusCode}
	}
	wr.proxy.configure(t)
	if wr.proxy.roots == nil {
		go x509.SystemCertPool() // reading a hundred files takes longer than the way to the server: do both at once
	}
	return t
}

// Do implements policy.Transporter.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	resp, err := t.do(req)
	t.last.err = err
	return resp, err
}

func (t *transport) do(req *http.Request) (*http.Response, error) {
	if err := t.allowed(req.URL, req.Method); err != nil {
		return nil, err
	}
	sent := req.Clone(req.Context())
	t.proxy.redirect(sent)
	// What a server sends after its answer to a kept connection goes to the standard log, and may hold a token.
	sent.Close = req.Method == http.MethodPost || req.Header.Get("Authorization") != ""
	t.last.asked = "https://" + sent.URL.Host + "/"
	resp, err := t.client.Do(sent)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer broke off: %w", err)
	case len(body) > maxAnswer:
		return nil, final("the answer has more than %d bytes", maxAnswer)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, final("the answer is a redirect (%d) to %s, and a credential is not sent to a second address", resp.StatusCode, clean(redirectHost(resp)))
	case resp.StatusCode < 300 && req.Method == http.MethodPost && t.granted != nil:
		if body, err = t.granted(body); err != nil {
			return nil, final("%w", err)
		}
	}
	plainRetryAfter(resp)
	return answer(req, resp, body), nil
}

// allowed refuses to send anything secret elsewhere than to the authority, whatever a discovery document says.
func (t *transport) allowed(u *url.URL, method string) error {
	home, err := url.Parse(t.authority)
	if err != nil {
		return final("%w", err)
	}
	homes := []string{home.Host}
	if t.region != "" {
		homes = append(homes, t.region+".login.microsoft.com", t.region+"."+home.Host)
	}
	isHome := slices.ContainsFunc(homes, func(host string) bool { return strings.EqualFold(host, u.Host) })
	if u.Scheme != "https" || (method != http.MethodGet && !isHome) {
		return final("discovery at %s named the token endpoint %s://%s, and a credential is not sent to a second address", t.authority, clean(u.Scheme), clean(u.Host))
	}
	return nil
}

func redirectHost(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return "nowhere"
	}
	return u.Scheme + "://" + u.Host
}

// checkAnswer looks at a granted token request (RFC 6749, section 5.1; RFC 6750, section 2.1) and returns what MSAL needs of it, and no
// more. Its errors do not repeat any of it.
func checkAnswer(body []byte) ([]byte, error) {
	var a struct {
		Token   string          `json:"access_token"`
		Type    string          `json:"token_type"`
		Expires json.RawMessage `json:"expires_in"`
		Refresh json.RawMessage `json:"refresh_in"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errors.New("the answer is no token: not the JSON that Entra ID sends")
	}
	life, err := seconds(a.Expires)
	switch {
	case !isBearer(a.Token):
		return nil, errors.New("the answer has no access token, or one that cannot stand in a header")
	case !strings.EqualFold(a.Type, "Bearer"):
		return nil, errors.New("the answer has a token that is not a bearer token")
	case err != nil:
		return nil, errors.New("the answer does not say in whole seconds how long its token lives")
	case life <= 0:
		return nil, errors.New("the answer has a token that is already expired")
	case life > int64(100*365*24*time.Hour/time.Second): // MSAL's arithmetic would overflow further on
		return nil, errors.New("the answer has a token with an impossible life")
	}
	needed := map[string]any{"access_token": a.Token, "token_type": "Bearer", "expires_in": life}
	if refresh, err := seconds(a.Refresh); err == nil && refresh > 0 && refresh < life {
		needed["refresh_in"] = refresh
	}
	return json.Marshal(needed)
}

// isBearer tells whether a token can stand in an Authorization header (RFC 6750, section 2.1: b64token).
func isBearer(token string) bool { return plain(token, "-._~+/=") }

// seconds reads a whole number, which some of Entra ID's endpoints put into quotes.
func seconds(raw json.RawMessage) (int64, error) {
	return strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
}

// shouldRetry is azcore's question after every request. A request that was refused for good, or that will not do better a second later,
// is not repeated.
func shouldRetry(ctx context.Context, resp *http.Response, err error) bool {
	if err != nil {
		return !isFinal(err)
	}
	if !mayPass(resp.StatusCode) {
		return false
	}
	deadline, bounded := ctx.Deadline()
	return !bounded || time.Until(deadline) > retryAfter(resp)
}

// mayPass tells whether the same request may be answered otherwise a moment later.
func mayPass(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500
}

func isFinal(err error) bool {
	var (
		finalErr    *finalError
		proxy       *proxyRefusal
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
	)
	if errors.As(err, &proxy) {
		return proxy.status < 500
	}
	return errors.As(err, &finalErr) || errors.As(err, &certificate) || (errors.As(err, &dns) && dns.IsNotFound)
}

// retryHeaders are the forms in which a server says how long it wants to be left alone (RFC 9110, section 10.2.3; Azure's own), with their units.
var retryHeaders = []struct {
	name string
	unit time.Duration
}{{"Retry-After-Ms", time.Millisecond}, {"X-Ms-Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}}

// retryAfter is the length of time that the answer asks for; 0 where it does not.
func retryAfter(resp *http.Response) time.Duration {
	const longest = 24 * time.Hour
	for _, h := range retryHeaders {
		value := resp.Header.Get(h.name)
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			return time.Duration(min(n, uint64(longest/h.unit))) * h.unit
		}
		if at, err := http.ParseTime(value); err == nil {
			return min(max(time.Until(at), 0), longest)
		}
	}
	return 0
}

// plainRetryAfter puts the one form that azcore reads without error in the place of all.
func plainRetryAfter(resp *http.Response) {
	d := retryAfter(resp)
	for _, h := range retryHeaders {
		resp.Header.Del(h.name)
	}
	if d > 0 {
		resp.Header.Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
	}
}

// proxyRefusal is the answer of a proxy that does not connect.
type proxyRefusal struct{ status int }

func (e *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy that $HTTPS_PROXY names refused to connect: HTTP status %d", e.status)
}

// finalError ends the tries.
type finalError struct{ error }

func final(format string, args ...any) error { return &finalError{fmt.Errorf(format, args...)} }

func (e *finalError) Unwrap() error { return e.error }

// NonRetriable implements azcore's marker for its retry policy.
func (*finalError) NonRetriable() {}
