package token

import (
	"context"
	"crypto"
	"crypto/x509"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// clientCredential is the secret, the certificate or the assertion with which an application or a
// managed identity authenticates. Exactly one of them is set.
type clientCredential struct {
	assertion    func(context.Context) (string, error)
	secret       string
	certificates []*x509.Certificate // key's certificate first, then its chain
	key          crypto.PrivateKey
}

// tokenCredential returns azidentity's credential. For a token with a proof of possession it
// returns one of MSAL, on which azidentity is built, because azidentity does not support that.
func (c clientCredential) tokenCredential(r Request, a attempt) (azcore.TokenCredential, error) {
	skipDiscovery := a.skipsInstanceDiscovery(r)
	switch {
	case a.proofKey != nil:
		return c.popCredential(r, a)
	case c.secret != "":
		return azidentity.NewClientSecretCredential(
			r.TenantID, r.ClientID, c.secret,
			&azidentity.ClientSecretCredentialOptions{
				ClientOptions:            a.clientOptions,
				DisableInstanceDiscovery: skipDiscovery,
			},
		)
	case c.key != nil:
		return azidentity.NewClientCertificateCredential(
			r.TenantID, r.ClientID, c.certificates, c.key,
			&azidentity.ClientCertificateCredentialOptions{
				ClientOptions:            a.clientOptions,
				DisableInstanceDiscovery: skipDiscovery,
				// Applications that trust a certificate by subject name and issuer need the chain;
				// the others ignore it.
				SendCertificateChain: true,
			},
		)
	}
	// azidentity's WorkloadIdentityCredential would read the file itself, without trimming it or
	// limiting its size, and would replace our transport if there is a token proxy. Its
	// AzurePipelinesCredential would send the job's token and the federated token through one
	// transport.
	return azidentity.NewClientAssertionCredential(
		r.TenantID, r.ClientID, c.assertion,
		&azidentity.ClientAssertionCredentialOptions{
			ClientOptions:            a.clientOptions,
			DisableInstanceDiscovery: skipDiscovery,
		},
	)
}

func (c clientCredential) popCredential(r Request, a attempt) (azcore.TokenCredential, error) {
	credential, err := c.msalCredential()
	if err != nil {
		return nil, err
	}
	options := []confidential.Option{
		confidential.WithHTTPClient(a.httpClient()),
		confidential.WithX5C(),
	}
	if a.skipsInstanceDiscovery(r) {
		options = append(options, confidential.WithInstanceDiscovery(false))
	}
	if a.Region != "" {
		options = append(options, confidential.WithAzureRegion(a.Region))
	}
	client, err := confidential.New(a.Authority+r.TenantID, r.ClientID, credential, options...)
	if err != nil {
		return nil, err
	}
	scheme := confidential.WithAuthenticationScheme(a.proofKey)
	return credentialFunc(
		func(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
			return toAccessToken(client.AcquireTokenByCredential(ctx, o.Scopes, scheme))
		},
	), nil
}

func (c clientCredential) msalCredential() (confidential.Credential, error) {
	switch {
	case c.secret != "":
		return confidential.NewCredFromSecret(c.secret)
	case c.key != nil:
		return confidential.NewCredFromCert(c.certificates, c.key)
	}
	return confidential.NewCredFromAssertionCallback(
		func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
			return c.assertion(ctx)
		},
	), nil
}
