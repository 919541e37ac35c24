package entra

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// Client is the way to Entra ID for one exchange, or to a service for one request that carries a
// token. It remembers how the last request ended, which azidentity's errors do not tell.
type Client struct {
	Authority     string // https://HOST/, the only one that is given what is secret
	SkipDiscovery bool   // the token endpoint's address is known and nobody needs to be asked for it
	Region        string
	TokenProxy    TokenProxy
	Backoff       time.Duration
	LastOutcome   *Outcome
	Network       http.RoundTripper // connections, of one exchange

	// granted look at answers that succeeded before anybody else does: to POSTs by the last part of
	// the path, to GETs by what is before that.
	ResponseChecks map[string]func(body []byte) ([]byte, error)
}

// Outcome is how the last request ended: with a good answer, a refusal or an error.
type Outcome struct {
	ServerURL string // https://HOST/
	Refusal   *Refusal
	Err       error
}

// ForService is the way to another service, https://HOST/, which is told nothing of Entra ID's.
// done is to be called when it has answered.
func (wr Client) ForService(service string) (other Client, done func()) {
	other = Client{
		Authority:   service,
		Backoff:     wr.Backoff,
		LastOutcome: wr.LastOutcome,
		Network:     wr.Network,
	}
	if wr.TokenProxy.URL == nil && wr.Network != nil {
		return other, func() {}
	}
	connections := other.NewHTTPTransport() // without the token proxy's certificates
	other.Network = connections
	return other, connections.CloseIdleConnections
}

// ClientOptions are azcore's, with our transport and our patience.
// ctx is the run's: its end bounds how long a server may ask to be left alone.
func (wr Client) ClientOptions(ctx context.Context, tenant string) azcore.ClientOptions {
	o := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: wr.Authority},
		Telemetry: policy.TelemetryOptions{ApplicationID: "akslogin"},
		Transport: wr.transport(),
		Retry: policy.RetryOptions{
			MaxRetries:    maxRetries,
			RetryDelay:    wr.Backoff,
			MaxRetryDelay: time.Hour,
			TryTimeout:    RequestTimeout,
			ShouldRetry:   func(resp *http.Response, err error) bool { return shouldRetry(ctx, resp, err) },
		},
	}
	if wr.SkipDiscovery {
		o.PerCallPolicies = []policy.Policy{
			localDiscovery{wr.Authority + strings.ToLower(tenant)},
		} // as MSAL asks and Entra ID answers
	}
	return o
}

func (wr Client) transport() *transport {
	return &transport{wr, &http.Client{Transport: noRedirects{wr.Network}}}
}

// Do sends one request, without retries.
func (wr Client) Do(req *http.Request) (*http.Response, error) { return wr.transport().Do(req) }

// NewHTTPTransport are the real network.
func (wr Client) NewHTTPTransport() *HTTPTransport {
	t := http.DefaultTransport.(*http.Transport).Clone() // proxy variables, timeouts of dialling and handshake
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.MaxResponseHeaderBytes = maxResponse
	t.DisableCompression = true // answers are small, and nothing that is will unpack to gigabytes
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		return &ProxyError{resp.StatusCode, proxy.User != nil}
	}
	wr.TokenProxy.configure(t)
	if wr.TokenProxy.Roots != nil {
		return &HTTPTransport{fileOnly: t, system: t}
	}
	return newHTTPTransport(t, loadFileRoots())
}

// checkDestination refuses to send anything secret elsewhere than to the authority, whatever a
// discovery document says.
func (wr Client) checkDestination(u *url.URL, method string) error {
	if u.Scheme != "https" || (method != http.MethodGet && !wr.IsAuthorityHost(u.Host)) {
		return NewPermanentError(
			"discovery at %s named the token endpoint %s://%s, and a credential is not sent to a second address",
			wr.Authority,
			redact.Excerpt(u.Scheme),
			redact.Excerpt(u.Host),
		)
	}
	return nil
}

// IsAuthorityHost tells whether a host is the authority's own.
func (wr Client) IsAuthorityHost(host string) bool {
	home, err := url.Parse(wr.Authority)
	if err != nil {
		return false
	}
	homes := []string{home.Host}
	if wr.Region != "" {
		homes = append(homes, wr.Region+".login.microsoft.com", wr.Region+"."+home.Host)
	}
	return slices.ContainsFunc(homes, func(h string) bool { return strings.EqualFold(h, host) })
}

// Send sends a request without a body that carries a bearer token.
func (wr Client) Send(
	ctx context.Context,
	method, address, bearer string,
	header map[string]string,
) (*http.Response, error) {
	req, err := runtime.NewRequest(ctx, method, address)
	if err != nil {
		return nil, NewPermanentError("%w", err)
	}
	req.Raw().Header.Set("Authorization", "Bearer "+bearer)
	for name, value := range header {
		req.Raw().Header.Set(name, value)
	}
	options := policy.ClientOptions(wr.ClientOptions(ctx, ""))
	return runtime.NewPipeline("akslogin", "", runtime.PipelineOptions{}, &options).Do(req)
}
