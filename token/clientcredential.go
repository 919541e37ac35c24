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

// clientCredential is what an application or a managed identity proves itself with: one of the
// three. It yields azidentity's credential, or MSAL's, on which azidentity rests, where the token
// is to be bound to a key: azidentity cannot ask for that.
type clientCredential struct {
	assertion    func(context.Context) (string, error)
	secret       string
	certificates []*x509.Certificate // the one of key first
	key          crypto.PrivateKey
}

func (p clientCredential) tokenCredential(r Request, a attempt) (azcore.TokenCredential, error) {
	discoverNothing := a.skipsInstanceDiscovery(r)
	switch {
	case a.proofKey != nil:
		return p.popCredential(r, a)
	case p.secret != "":
		return azidentity.NewClientSecretCredential(
			r.TenantID,
			r.ClientID,
			p.secret,
			&azidentity.ClientSecretCredentialOptions{
				ClientOptions: a.clientOptions, DisableInstanceDiscovery: discoverNothing,
			},
		)
	case p.key != nil:
		return azidentity.NewClientCertificateCredential(
			r.TenantID,
			r.ClientID,
			p.certificates,
			p.key,
			&azidentity.ClientCertificateCredentialOptions{
				ClientOptions:            a.clientOptions,
				DisableInstanceDiscovery: discoverNothing,
				SendCertificateChain:     true, // applications that trust a certificate by its name and issuer need it, to others it is nothing
			},
		)
	}
	// azidentity's WorkloadIdentityCredential would read the file by itself, untrimmed and
	// unbounded, and would replace our transport where there is a token proxy; its
	// AzurePipelinesCredential would send the job's token and the federated one by the same way.
	return azidentity.NewClientAssertionCredential(
		r.TenantID,
		r.ClientID,
		p.assertion,
		&azidentity.ClientAssertionCredentialOptions{
			ClientOptions: a.clientOptions, DisableInstanceDiscovery: discoverNothing,
		},
	)
}

func (p clientCredential) popCredential(r Request, a attempt) (azcore.TokenCredential, error) {
	var presented confidential.Credential
	var err error
	switch {
	case p.secret != "":
		presented, err = confidential.NewCredFromSecret(p.secret)
	case p.key != nil:
		presented, err = confidential.NewCredFromCert(p.certificates, p.key)
	default:
		presented = confidential.NewCredFromAssertionCallback(
			func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
				return p.assertion(ctx)
			},
		)
	}
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
	client, err := confidential.New(a.Authority+r.TenantID, r.ClientID, presented, options...)
	if err != nil {
		return nil, err
	}
	return credentialFunc(
		func(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
			return toAccessToken(
				client.AcquireTokenByCredential(
					ctx,
					o.Scopes,
					confidential.WithAuthenticationScheme(a.proofKey),
				),
			)
		},
	), nil
}
