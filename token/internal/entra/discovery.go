package entra

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// localDiscovery answers the request for a tenant's openid-configuration document, which MSAL makes
// before the first token request, without the network. It is a policy and not part of the transport
// so that retries and logs do not see the request.
type localDiscovery struct{ tenantURL string } // https://HOST/TENANT

// Do implements policy.Policy.
func (d localDiscovery) Do(req *policy.Request) (*http.Response, error) {
	raw := req.Raw()
	requested := url.URL{Scheme: raw.URL.Scheme, Host: raw.URL.Host, Path: raw.URL.Path}
	document := d.tenantURL + "/v2.0/.well-known/openid-configuration"
	if raw.Method != http.MethodGet || !strings.EqualFold(requested.String(), document) {
		return req.Next()
	}
	body, err := json.Marshal(map[string]string{
		"authorization_endpoint": d.tenantURL + "/oauth2/v2.0/authorize",
		"token_endpoint":         d.tenantURL + "/oauth2/v2.0/token",
		"issuer":                 d.tenantURL + "/v2.0",
	})
	return withBody(raw, &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}},
	}, body), err
}
