package token

import (
	"context"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// credentialFunc is a function that implements azcore.TokenCredential.
type credentialFunc func(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error)

// GetToken calls f.
func (f credentialFunc) GetToken(
	ctx context.Context,
	o policy.TokenRequestOptions,
) (azcore.AccessToken, error) {
	return f(ctx, o)
}

// toAccessToken converts MSAL's result to azidentity's.
func toAccessToken(r public.AuthResult, err error) (azcore.AccessToken, error) {
	return azcore.AccessToken{
		Token:     r.AccessToken,
		ExpiresOn: r.ExpiresOn,
		RefreshOn: r.Metadata.RefreshOn,
	}, err
}

// httpClient returns a client that sends MSAL's requests as azidentity does: through azcore's
// pipeline, with its retries.
func (a attempt) httpClient() msalHTTPClient {
	options := policy.ClientOptions(a.clientOptions)
	return msalHTTPClient{runtime.NewPipeline("akslogin", "", runtime.PipelineOptions{}, &options)}
}

// msalHTTPClient implements the interface HTTPClient of MSAL's packages.
type msalHTTPClient struct{ pipeline runtime.Pipeline }

// Do sends a request, with retries.
func (c msalHTTPClient) Do(r *http.Request) (*http.Response, error) {
	req, err := runtime.NewRequestFromRequest(r)
	if err != nil {
		return nil, err
	}
	return c.pipeline.Do(req)
}

// CloseIdleConnections does nothing: exchange closes the connections that it makes.
func (msalHTTPClient) CloseIdleConnections() {}
