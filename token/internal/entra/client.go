package entra

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// Client sends the requests of one exchange to an authority of Entra ID, or one request with a
// bearer token to another service. Copies of a Client share Network and LastOutcome. A Client must
// not send two requests at the same time, because both would write LastOutcome.
type Client struct {
	// Authority is the URL of the server, as https://HOST/. Only this server and its regional hosts
	// receive secrets.
	Authority string

	// SkipDiscovery makes the client answer MSAL's request for the tenant's openid-configuration
	// document itself, because the endpoints of the authority are known.
	SkipDiscovery bool

	// Region is the Azure region whose regional token endpoint MSAL uses, or empty.
	Region string

	// TokenProxy replaces Authority on the network if its URL is set.
	TokenProxy TokenProxy

	// TokenType is the token_type that a token response must have: "Bearer" or "pop". If it is
	// empty, the client does not check the bodies of successful responses.
	TokenType string

	// Backoff is the delay before the first retry. azcore increases it for each further one.
	Backoff time.Duration

	// LastOutcome receives how each request ended. It must not be nil.
	LastOutcome *Outcome

	// Network opens connections. The caller closes its idle connections.
	Network http.RoundTripper
}

// ForService returns a client for another service at url, as https://HOST/. It shares the backoff,
// the outcome and, if possible, the connections. It never goes through the token proxy. The caller
// must call done after the response has arrived.
func (c Client) ForService(url string) (service Client, done func()) {
	service = Client{
		Authority:   url,
		Backoff:     c.Backoff,
		LastOutcome: c.LastOutcome,
		Network:     c.Network,
	}
	if c.TokenProxy.URL == nil && c.Network != nil {
		return service, func() {}
	}
	connections := service.NewHTTPTransport() // does not trust the token proxy's CA
	service.Network = connections
	return service, connections.CloseIdleConnections
}

// ClientOptions returns the options with which azidentity, MSAL and azcore send their requests
// through c. A response is not retried if it asks for a delay beyond the deadline of ctx. tenant is
// an ID or a domain; only the local answer to discovery needs it.
func (c Client) ClientOptions(ctx context.Context, tenant string) azcore.ClientOptions {
	o := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: c.Authority},
		Telemetry: policy.TelemetryOptions{ApplicationID: "akslogin"},
		Transport: c.transport(),
		Retry: policy.RetryOptions{
			MaxRetries:    maxRetries,
			RetryDelay:    c.Backoff,
			MaxRetryDelay: time.Hour,
			ShouldRetry: func(resp *http.Response, err error) bool {
				return shouldRetry(ctx, resp, err)
			},
		},
	}
	if c.SkipDiscovery {
		// MSAL asks for the tenant in lower case, and Entra ID answers in lower case.
		o.PerCallPolicies = []policy.Policy{localDiscovery{c.Authority + strings.ToLower(tenant)}}
	}
	return o
}

// Do sends one request without retries. The response body is in memory.
func (c Client) Do(req *http.Request) (*http.Response, error) { return c.transport().Do(req) }

// Send sends a request without a body, with a bearer token and the given headers, and retries it as
// ClientOptions says. It returns an error only if there is no response; the caller checks the
// status. The response body is in memory.
func (c Client) Send(ctx context.Context, method, url, bearer string, header map[string]string) (
	*http.Response, error,
) {
	req, err := runtime.NewRequest(ctx, method, url)
	if err != nil {
		return nil, NewPermanentError("%w", err)
	}
	req.Raw().Header.Set("Authorization", "Bearer "+bearer)
	for name, value := range header {
		req.Raw().Header.Set(name, value)
	}
	options := policy.ClientOptions(c.ClientOptions(ctx, ""))
	return runtime.NewPipeline("akslogin", "", runtime.PipelineOptions{}, &options).Do(req)
}

// NewHTTPTransport returns new connections to the network. They use the proxy that the environment
// names, TLS 1.2 or newer, and the system's root certificates, or those of the token proxy if it
// has a CA.
func (c Client) NewHTTPTransport() *HTTPTransport {
	// The default transport has the proxy variables and the timeouts for dialing and handshakes.
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.MaxResponseHeaderBytes = maxResponse
	t.DisableCompression = true // responses are small, and a small one must not unpack to gigabytes
	t.OnProxyConnectResponse = checkProxyResponse
	c.TokenProxy.configure(t)
	if c.TokenProxy.Roots != nil {
		return &HTTPTransport{fileOnly: t, system: t}
	}
	return newHTTPTransport(t, loadFileRoots())
}

// checkProxyResponse turns a proxy's refusal to connect into a ProxyError.
func checkProxyResponse(
	_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response,
) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &ProxyError{resp.StatusCode, proxy.User != nil}
}

// IsAuthorityHost reports whether host, with its port if the URL has one, is that of the authority
// or of one of its regional endpoints.
func (c Client) IsAuthorityHost(host string) bool { return c.authority().includes(host) }

func (c Client) authority() authority { return authority{c.Authority, c.Region} }

func (c Client) transport() *transport {
	return &transport{
		authority:  c.authority(),
		tokenProxy: c.TokenProxy,
		tokenType:  c.TokenType,
		outcome:    c.LastOutcome,
		httpClient: &http.Client{Transport: noRedirects{c.Network}},
	}
}
