package entra

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// IMDSHost is the address of the Instance Metadata Service on every Azure virtual machine.
const IMDSHost = "169.254.169.254"

// MetadataOptions returns the options with which azidentity requests tokens from a metadata
// service: IMDS, or that of App Service, Azure Arc or another Azure service. imds is the URL of
// IMDS, http://HOST or https://HOST; nil means IMDSHost. outcome receives how each request ended.
//
// backoff is that of requests to Entra ID; retries of a metadata service are slower. IMDS may be
// unavailable for 70 seconds during an update (status 410), and does not know an identity for a
// moment after its assignment (404). If nothing accepts connections there, the machine is not in
// Azure, and the request fails without retries.
func MetadataOptions(outcome *Outcome, imds *url.URL, backoff time.Duration) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: &http.Client{
			Transport: &metadataTransport{outcome, imds, noRedirects{newMetadataHTTPTransport()}},
		},
		Retry: policy.RetryOptions{
			MaxRetries:    6,
			RetryDelay:    4 * backoff,
			MaxRetryDelay: 25 * time.Second,
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

// newMetadataHTTPTransport returns connections that never use a proxy, because a proxy could only
// obtain a token for the identity of its own machine. The short dial timeout ends a login soon on a
// machine outside Azure.
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

// metadataTransport sends requests to a metadata service. As transport does for Entra ID, it checks
// responses before MSAL sees them and records the outcome.
type metadataTransport struct {
	outcome *Outcome
	imds    *url.URL // replaces http://IMDSHost; nil: it does not
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *metadataTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.imds != nil && req.URL.Host == IMDSHost {
		req = req.Clone(req.Context())
		req.URL.Scheme, req.URL.Host, req.Host = t.imds.Scheme, t.imds.Host, t.imds.Host
	}
	rememberSecrets(req.Header, nil)
	return t.outcome.try(req, t.roundTrip)
}

func (t *metadataTransport) roundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := readResponse(resp)
	if err != nil {
		return nil, err
	}
	if isArcChallenge(resp) {
		// No refusal: MSAL reads the key file that it names, and asks again or says why it cannot.
	} else if resp.StatusCode >= 400 {
		t.outcome.refuse(readRefusal(resp, body))
	} else if body, err = checkMetadataResponse(body, time.Now()); err != nil {
		return nil, NewPermanentError("%w", err)
	}
	normalizeRetryAfter(resp)
	return withBody(req, resp, body), nil
}

// isArcChallenge reports whether resp is Azure Arc's answer to a request without its key, which
// names the file with the key.
// https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication
func isArcChallenge(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized &&
		strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic realm=")
}

// metadataFields are the string fields of a metadata service's token response that MSAL needs.
// Azure Arc names the identity that it used, and MSAL compares that with the requested one.
var metadataFields = []string{
	"access_token", "token_type", "resource", "client_id", "object_id", "msi_res_id", "mi_res_id",
}

// checkMetadataResponse checks the token response of a metadata service. It returns JSON with the
// fields that MSAL needs. Its errors do not repeat any part of body.
func checkMetadataResponse(body []byte, now time.Time) ([]byte, error) {
	var response map[string]json.RawMessage
	if err := json.Unmarshal(body, &response); err != nil {
		return nil, errors.New(
			"the answer is not a token response: not the JSON that a metadata service sends")
	}
	lifetime, err := parseSeconds(response["expires_in"])
	if err != nil { // App Service only sends expires_on, in Unix time
		var expiry int64
		if expiry, err = parseSeconds(response["expires_on"]); err == nil {
			lifetime = expiry - now.Unix()
		}
	}
	checked := map[string]any{"expires_in": lifetime}
	for _, name := range metadataFields {
		var value string
		if json.Unmarshal(response[name], &value) == nil {
			checked[name] = value
		}
	}
	token, _ := checked["access_token"].(string)
	switch {
	case !IsBearerToken(token):
		return nil, errNoAccessToken
	case err != nil:
		return nil, errNoLifetime
	case lifetime <= 0 || lifetime > int64(MaxTokenLifetime/time.Second):
		return nil, errors.New(
			"the answer has a token that is already expired, or one with an impossible lifetime")
	}
	refresh, err := parseSeconds(response["refresh_in"])
	if err == nil && refresh > 0 && refresh < lifetime {
		checked["refresh_in"] = refresh
	}
	return json.Marshal(checked)
}
