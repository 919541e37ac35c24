package entra

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

const IMDSHost = "169.254.169.254"

// MetadataOptions are azcore's for a metadata service. IMDS may be away for 70 seconds while it is
// updated (410), and does not know an identity for a moment after it was assigned (404).
func MetadataOptions(last *Outcome, imds *url.URL, pace time.Duration) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: &http.Client{
			Transport: &metadataTransport{last, imds, noRedirects{newMetadataHTTPTransport()}},
		},
		Retry: policy.RetryOptions{
			MaxRetries:    6,
			RetryDelay:    4 * pace,
			MaxRetryDelay: 25 * time.Second,
			TryTimeout:    RequestTimeout,
			ShouldRetry: func(resp *http.Response, err error) bool {
				if err != nil {
					return !isPermanent(err) && !isDialError(err)
				}
				return IsTransientStatus(resp.StatusCode) ||
					resp.StatusCode == http.StatusNotFound ||
					resp.StatusCode == http.StatusGone
			},
		},
	}
}

// newMetadataHTTPTransport never go through a proxy: it would answer with its own machine's
// identity, or not at all. Where nothing answers at the address this is no machine in Azure, and
// that is told soon.
func newMetadataHTTPTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.DisableKeepAlives = nil, true
	t.DialContext = (&net.Dialer{Timeout: 3 * time.Second}).DialContext
	return t
}

func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// metadataTransport is the way to a metadata service. As for Entra ID, an answer is looked at
// before MSAL sees it, and how the last request ended is remembered.
type metadataTransport struct {
	last *Outcome
	imds *url.URL // where IMDS is; nil: where it is on every virtual machine
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (m *metadataTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if m.imds != nil && req.URL.Host == IMDSHost {
		req = req.Clone(req.Context())
		req.URL.Scheme, req.URL.Host, req.Host = m.imds.Scheme, m.imds.Host, m.imds.Host
	}
	*m.last = Outcome{ServerURL: req.URL.Scheme + "://" + req.URL.Host + "/"}
	resp, err := m.next.RoundTrip(req)
	var body []byte
	if err == nil {
		body, err = readResponse(resp)
	}
	switch {
	case err != nil:
	case resp.StatusCode >= 400:
		m.last.Refusal = readRefusal(resp, body)
	default:
		if body, err = checkMetadataResponse(body, time.Now()); err != nil {
			err = NewPermanentError("%w", err)
		}
	}
	if m.last.Err = err; err != nil {
		return nil, err
	}
	normalizeRetryAfter(resp)
	return withBody(req, resp, body), nil
}

// checkMetadataResponse looks at a metadata service's token and returns what MSAL needs of it, and
// no more. Its errors do not repeat any of it.
func checkMetadataResponse(body []byte, now time.Time) ([]byte, error) {
	var a map[string]json.RawMessage
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errors.New("the answer is no token: not the JSON that a metadata service sends")
	}
	life, err := parseSeconds(a["expires_in"])
	if err != nil { // App Service has the end only
		var end int64
		if end, err = parseSeconds(a["expires_on"]); err == nil {
			life = end - now.Unix()
		}
	}
	needed := map[string]any{"expires_in": life}
	// Azure Arc names the identity that it used, and MSAL compares that with the one that was
	// wanted.
	for _, name := range []string{"access_token", "token_type", "resource", "client_id", "object_id", "msi_res_id", "mi_res_id"} {
		var value string
		if json.Unmarshal(a[name], &value) == nil {
			needed[name] = value
		}
	}
	token, _ := needed["access_token"].(string)
	switch {
	case !IsBearerToken(token):
		return nil, errors.New(
			"the answer has no access token, or one that cannot stand in a header",
		)
	case err != nil:
		return nil, errors.New("the answer does not say in whole seconds how long its token lives")
	case life <= 0 || life > int64(MaxTokenLifetime/time.Second):
		return nil, errors.New(
			"the answer has a token that is already expired, or lives impossibly long",
		)
	}
	if refresh, err := parseSeconds(a["refresh_in"]); err == nil && refresh > 0 && refresh < life {
		needed["refresh_in"] = refresh
	}
	return json.Marshal(needed)
}
