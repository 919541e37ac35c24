package entra

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// localDiscovery answers the request for a tenant's openid-configuration, which MSAL makes before
// the first token request, from what is known. It is a policy and not part of the transport so that
// retries and logging do not see it.
type localDiscovery struct{ tenantURL string }

func (d localDiscovery) Do(req *policy.Request) (*http.Response, error) {
	raw := req.Raw()
	asked := url.URL{Scheme: raw.URL.Scheme, Host: raw.URL.Host, Path: raw.URL.Path}
	if raw.Method != http.MethodGet ||
		!strings.EqualFold(asked.String(), d.tenantURL+"/v2.0/.well-known/openid-configuration") {
		return req.Next()
	}
	document, err := json.Marshal(map[string]string{
		"authorization_endpoint": d.tenantURL + "/oauth2/v2.0/authorize",
		"token_endpoint":         d.tenantURL + "/oauth2/v2.0/token",
		"issuer":                 d.tenantURL + "/v2.0",
	})
	return withBody(raw, &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}},
	}, document), err
}

// withBody completes resp with a body that is in memory.
func withBody(req *http.Request, resp *http.Response, body []byte) *http.Response {
	resp.Request, resp.Body, resp.ContentLength = req, io.NopCloser(
		bytes.NewReader(body),
	), int64(
		len(body),
	)
	return resp
}
