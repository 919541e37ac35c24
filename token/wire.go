package token

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
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

	// granted look at answers that succeeded before anybody else does: to POSTs by the last part of the path, to GETs by what is before that.
	granted map[string]func(body []byte) ([]byte, error)
}

// outcome is how the last request ended: with a good answer, a refusal or an error.
type outcome struct {
	asked   string // https://HOST/
	refusal *Refusal
	err     error
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

func newWire(m Method, r Request, w World) (wire, error) {
	if !m.asksEntra() {
		return wire{pace: w.Pace, last: &outcome{}}, nil
	}
	authority, err := r.authority()
	if err != nil {
		return wire{}, err
	}
	var proxy tokenProxy
	if m.takes("azure-token-proxy") { // it takes federated tokens, and no other secret is sent there
		if proxy, err = tokenProxyFrom(r, w.Getenv); err != nil {
			return wire{}, err
		}
	}
	if err := checkProxy(w.Getenv); err != nil {
		return wire{}, err
	}
	region := regionFrom(w.Getenv)
	return wire{
		authority: authority, proxy: proxy, region: region, pace: w.Pace, last: &outcome{},
		granted:    responseChecks(r.tokenType()),
		oneRequest: isKnown(authority) && region == "" && !strings.EqualFold(r.TenantID, "adfs"),
	}, nil
}

// checkProxy refuses a proxy that cannot be one: net/http would go on without it.
func checkProxy(getenv func(string) string) error {
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
				Hint: "where the proxy wants a user and a password, it is http://USER:PASSWORD@HOST:PORT" + percentEncoded,
			}
		}
	}
	return nil
}

// to is the way to another service, https://HOST/, which is told nothing of Entra ID's. done is to be called when it has answered.
func (wr wire) to(service string) (other wire, done func()) {
	other = wire{authority: service, pace: wr.pace, last: wr.last, network: wr.network}
	if wr.proxy.url == nil && wr.network != nil {
		return other, func() {}
	}
	connections := other.connections() // without the token proxy's certificates
	other.network = connections
	return other, connections.CloseIdleConnections
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
		o.PerCallPolicies = []policy.Policy{discovery{wr.authority + strings.ToLower(tenant)}} // as MSAL asks and Entra ID answers
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
	return &transport{wr, &http.Client{Transport: straight{wr.network}}}
}

// do sends one request, without retries.
func (wr wire) do(req *http.Request) (*http.Response, error) { return wr.transport().Do(req) }

// straight hides where a redirect leads from http.Client, which would follow it, or quote an address that it cannot read in an error of its
// own, after which the request would be sent again.
type straight struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s straight) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(req)
	if err == nil && isRedirect(resp) && resp.Header.Get("Location") != "" {
		resp.Header.Set(ledTo, resp.Header.Get("Location"))
		resp.Header.Del("Location")
	}
	return resp, err
}

const ledTo = "Akslogin-Led-To"

func isRedirect(resp *http.Response) bool { return resp.StatusCode >= 300 && resp.StatusCode < 400 }

// connections are the real network.
func (wr wire) connections() *connections {
	t := http.DefaultTransport.(*http.Transport).Clone() // proxy variables, timeouts of dialling and handshake
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.MaxResponseHeaderBytes = maxAnswer
	t.DisableCompression = true // answers are small, and nothing that is will unpack to gigabytes
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		return &proxyRefusal{resp.StatusCode, proxy.User != nil}
	}
	wr.proxy.configure(t)
	if wr.proxy.roots != nil {
		return &connections{few: t, all: t}
	}
	return trusting(t, firstRoots())
}

// Do implements policy.Transporter.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	*t.last = outcome{asked: "https://" + req.URL.Host + "/"}
	resp, err := t.do(req)
	t.last.err = err
	return resp, err
}

func (t *transport) do(req *http.Request) (*http.Response, error) {
	if err := t.allowed(req.URL, req.Method); err != nil {
		return nil, err
	}
	ctx, done, unnamed := once(req.Context())
	defer done(nil)
	sent, err := ownCopy(ctx, req)
	if err != nil {
		return nil, err
	}
	t.proxy.redirect(sent)
	// What a server sends after its answer to a kept connection goes to the standard log, and may hold a token.
	sent.Close = req.Method == http.MethodPost || req.Header.Get("Authorization") != ""
	t.last.asked = "https://" + sent.URL.Host + "/"
	resp, err := t.client.Do(sent)
	if errors.Is(context.Cause(ctx), errNotBegun) {
		err = errNotBegun
	}
	if host := unnamed.Load(); host != nil && errors.Is(err, context.DeadlineExceeded) {
		err = silence(*host, sent.URL.Hostname())
	}
	if err != nil {
		return nil, err
	}
	body, err := readAnswer(resp)
	if err != nil {
		return nil, err
	}
	check := t.granted[path.Base(req.URL.Path)]
	if req.Method == http.MethodGet {
		check = t.granted[path.Dir(req.URL.Path)]
	}
	switch {
	case resp.StatusCode >= 400:
		t.last.refusal = refusalFrom(resp, body)
	case check != nil && cutShort(resp, body):
		return nil, fmt.Errorf("the answer broke off: %w", io.ErrUnexpectedEOF)
	case check != nil:
		if body, err = check(body); err != nil {
			return nil, final("%w", err)
		}
	}
	plainRetryAfter(resp)
	return answer(req, resp, body), nil
}

var errNotBegun = errors.New("the server says that it has not begun with the request")

// once returns a context that ends when net/http sends its request a second time: under HTTP/2 it does so without a pause, and as often as the
// server takes none. It is for us to try again. unnamed is the host whose name is being looked up; nil: it is known.
func once(ctx context.Context) (_ context.Context, done context.CancelCauseFunc, unnamed *atomic.Pointer[string]) {
	ctx, done = context.WithCancelCause(ctx)
	var sent atomic.Bool
	unnamed = &atomic.Pointer[string]{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(i httptrace.DNSStartInfo) { unnamed.Store(&i.Host) },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			if i.Err == nil {
				unnamed.Store(nil)
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			if sent.Swap(true) {
				done(errNotBegun)
			}
		},
	}), done, unnamed
}

// silence is how a request ended that was still waiting for a name, the asked host's or a proxy's: net/http says only that time was up.
func silence(host, asked string) error {
	err := &net.DNSError{Err: "no answer", Name: host, IsTimeout: true}
	if host == asked {
		return err
	}
	return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
}

// ownCopy copies a request with its body, which net/http cannot get a second time. azcore gives all tries of a request one body, and
// net/http may still read that for a try which has been answered, when the next one sends it.
func ownCopy(ctx context.Context, req *http.Request) (*http.Request, error) {
	sent := req.Clone(ctx)
	sent.GetBody = nil
	if req.Body == nil {
		return sent, nil
	}
	body, err := io.ReadAll(req.Body)
	sent.Body = io.NopCloser(bytes.NewReader(body))
	return sent, err
}

// cutShort tells whether an answer ends in the midst of its JSON, where nothing but the connection's end says that it does.
func cutShort(resp *http.Response, body []byte) bool {
	var syntax *json.SyntaxError
	endless := resp.ProtoMajor == 1 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
	return endless && errors.As(json.Unmarshal(body, new(any)), &syntax) && syntax.Offset == int64(len(body))
}

// readAnswer reads a whole answer, which must not be endless and not send the asker elsewhere, and closes it.
func readAnswer(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK { // 101: what follows is the connection, which no context ends
		return nil, final("the answer changes to another protocol (%d), which was not asked for", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer broke off: %w", err)
	case len(body) > maxAnswer:
		return nil, final("the answer has more than %d bytes", maxAnswer)
	case isRedirect(resp):
		return nil, final("the answer is a redirect (%d) to %s, and a credential is not sent to a second address", resp.StatusCode, clean(redirectHost(resp)))
	}
	return body, nil
}

// allowed refuses to send anything secret elsewhere than to the authority, whatever a discovery document says.
func (wr wire) allowed(u *url.URL, method string) error {
	if u.Scheme != "https" || (method != http.MethodGet && !wr.isHome(u.Host)) {
		return final("discovery at %s named the token endpoint %s://%s, and a credential is not sent to a second address", wr.authority, clean(u.Scheme), clean(u.Host))
	}
	return nil
}

// isHome tells whether a host is the authority's own.
func (wr wire) isHome(host string) bool {
	home, err := url.Parse(wr.authority)
	if err != nil {
		return false
	}
	homes := []string{home.Host}
	if wr.region != "" {
		homes = append(homes, wr.region+".login.microsoft.com", wr.region+"."+home.Host)
	}
	return slices.ContainsFunc(homes, func(h string) bool { return strings.EqualFold(h, host) })
}

func redirectHost(resp *http.Response) string {
	u, err := resp.Request.URL.Parse(resp.Header.Get(ledTo))
	switch {
	case resp.Header.Get(ledTo) == "":
		return "nowhere"
	case err != nil:
		return "what is no address"
	}
	return u.Scheme + "://" + u.Host
}

// responseChecks are the checks of successful responses: of POSTs by the last element of the path, of GETs by the folder.
func responseChecks(tokenType string) map[string]func(body []byte) ([]byte, error) {
	return map[string]func([]byte) ([]byte, error){
		"token":      func(body []byte) ([]byte, error) { return checkAnswer(body, tokenType) },
		"devicecode": checkDeviceCode,
		userRealm:    checkUserRealm,
	}
}

// checkAnswer looks at a granted token request (RFC 6749, section 5.1; RFC 6750, section 2.1) and returns what MSAL needs of it, and no
// more. Its errors do not repeat any of it.
func checkAnswer(body []byte, wantType string) ([]byte, error) {
	var a struct {
		Token   string          `json:"access_token"`
		Type    string          `json:"token_type"`
		Expires json.RawMessage `json:"expires_in"`
		Refresh json.RawMessage `json:"refresh_in"`

		// Where a person signed in. What is odd about these costs the sign-in that would be kept, and not the token.
		RefreshToken json.RawMessage `json:"refresh_token"`
		IDToken      json.RawMessage `json:"id_token"`
		ClientInfo   json.RawMessage `json:"client_info"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errors.New("the answer is no token: not the JSON that Entra ID sends")
	}
	life, err := seconds(a.Expires)
	switch {
	case !isBearer(a.Token):
		return nil, errors.New("the answer has no access token, or one that cannot stand in a header")
	case !strings.EqualFold(a.Type, wantType):
		return nil, fmt.Errorf("the answer has a token that is not a %s token", strings.ToLower(wantType))
	case err != nil:
		return nil, errors.New("the answer does not say in whole seconds how long its token lives")
	case life <= 0:
		return nil, errors.New("the answer has a token that is already expired")
	case life > int64(100*365*24*time.Hour/time.Second): // MSAL's arithmetic would overflow further on
		return nil, errors.New("the answer has a token with an impossible life")
	}
	needed := map[string]any{"access_token": a.Token, "token_type": wantType, "expires_in": life} // no scope: all that were asked for
	if refresh, err := seconds(a.Refresh); err == nil && refresh > 0 && refresh < life {
		needed["refresh_in"] = refresh
	}
	for name, part := range map[string]struct {
		raw  json.RawMessage
		fits func(string) bool
	}{
		"refresh_token": {a.RefreshToken, func(s string) bool { return s != "" }},
		"id_token":      {a.IDToken, func(s string) bool { _, err := claimsOf(s); return err == nil }},
		"client_info":   {a.ClientInfo, isClientInfo},
	} {
		var value string
		if json.Unmarshal(part.raw, &value) == nil && part.fits(value) {
			needed[name] = value
		}
	}
	return json.Marshal(needed)
}

// isClientInfo tells whether s is what MSAL names an account by: a JSON object in base64url.
func isClientInfo(s string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	var account struct{ UID, UTID string }
	return err == nil && json.Unmarshal(raw, &account) == nil && account.UID != ""
}

// checkDeviceCode looks at the answer to a request for a device code (RFC 8628, section 3.2). What it says to people is made fit for them.
func checkDeviceCode(body []byte) ([]byte, error) {
	var a struct {
		DeviceCode      string          `json:"device_code"`
		UserCode        string          `json:"user_code"`
		VerificationURI string          `json:"verification_uri"`
		Expires         json.RawMessage `json:"expires_in"`
		Interval        json.RawMessage `json:"interval"`
		Message         string          `json:"message"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errors.New("the answer is no device code: not the JSON that Entra ID sends")
	}
	life, err := seconds(a.Expires)
	if err != nil || life <= 0 || life > int64(24*time.Hour/time.Second) || a.DeviceCode == "" || a.UserCode == "" {
		return nil, errors.New("the answer has no device code that could be used")
	}
	interval, _ := seconds(a.Interval)
	return json.Marshal(map[string]any{
		"device_code": a.DeviceCode, "expires_in": life, "interval": interval,
		"user_code": clean(a.UserCode), "verification_uri": clean(a.VerificationURI), "message": clean(a.Message),
	})
}

// userRealm is where MSAL asks, before it sends a password, who checks it.
const userRealm = "/common/UserRealm"

// checkUserRealm refuses accounts whose passwords are checked elsewhere, as by AD FS: a password is not sent to an address that an answer names.
func checkUserRealm(body []byte) ([]byte, error) {
	var a struct {
		AccountType string `json:"account_type"`
		Domain      string `json:"domain_name"`
		Cloud       string `json:"cloud_instance_name"`
		URN         string `json:"cloud_audience_urn"`
	}
	switch err := json.Unmarshal(body, &a); {
	case err != nil:
		return nil, errors.New("who checks the password cannot be read from the answer")
	case strings.EqualFold(a.AccountType, "Federated"):
		return nil, &realmError{federated: true}
	}
	if !strings.EqualFold(a.AccountType, "Managed") {
		return nil, &realmError{}
	}
	return json.Marshal(map[string]string{"account_type": a.AccountType, "domain_name": a.Domain, "cloud_instance_name": a.Cloud, "cloud_audience_urn": a.URN})
}

// realmError is an account whose password Entra ID does not check itself.
type realmError struct {
	federated bool // another identity provider checks it; false: Entra ID does not know the account's kind
}

func (e *realmError) Error() string {
	if e.federated {
		return "the account's password is checked elsewhere than at Entra ID (it is federated, as by AD FS), and is not sent there"
	}
	return "Entra ID has no accounts of that user name's kind"
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
type proxyRefusal struct {
	status     int
	identified bool // it was told a user
}

func (e *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy that $HTTPS_PROXY names refused to connect: HTTP status %d", e.status)
}

// finalError ends the tries.
type finalError struct{ error }

func final(format string, args ...any) error { return &finalError{fmt.Errorf(format, args...)} }

func (e *finalError) Unwrap() error { return e.error }

// NonRetriable implements azcore's marker for its retry policy.
func (*finalError) NonRetriable() {}
