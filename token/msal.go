package token

import (
	"context"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// credentialFunc is a credential of azidentity's kind.
type credentialFunc func(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error)

// GetToken implements azcore.TokenCredential.
func (f credentialFunc) GetToken(
	ctx context.Context,
	o policy.TokenRequestOptions,
) (azcore.AccessToken, error) {
	return f(ctx, o)
}

// toAccessToken is what MSAL returned, as azidentity returns it.
func toAccessToken(r public.AuthResult, err error) (azcore.AccessToken, error) {
	return azcore.AccessToken{
		Token:     r.AccessToken,
		ExpiresOn: r.ExpiresOn,
		RefreshOn: r.Metadata.RefreshOn,
	}, err
}

// msalHTTPClient sends MSAL's requests as azidentity would: through azcore's pipeline, with its
// retries.
func (a attempt) httpClient() msalHTTPClient {
	options := policy.ClientOptions(a.clientOptions)
	return msalHTTPClient{runtime.NewPipeline("akslogin", "", runtime.PipelineOptions{}, &options)}
}

type msalHTTPClient struct{ pipeline runtime.Pipeline }

// Do implements MSAL's client.
func (c msalHTTPClient) Do(r *http.Request) (*http.Response, error) {
	req, err := runtime.NewRequestFromRequest(r)
	if err != nil {
		return nil, err
	}
	return c.pipeline.Do(req)
}

// CloseIdleConnections implements MSAL's client; who made the connections closes them.
func (msalHTTPClient) CloseIdleConnections() {}
