package token

import (
	"context"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
	"github.com/akslogin/akslogin/token/internal/entra"
)

// usernamePassword hands a person's password over (RFC 6749, section 4.3): only where nothing else
// works, and never for accounts with a second factor.
var usernamePassword = Method{
	Name:        "ropc",
	About:       "a user's name and password, without a second factor",
	Required:    []string{"client-id", "tenant-id", "username", "password"},
	Optional:    slices.Concat(entraFlags, popFlags),
	MissingHint: "for AKS the client ID is " + PublicClientID,
	SealedWith:  "the password and a key of the user's own",
	Stanza: Stanza{
		Flags: slices.Concat(
			accountFlags,
			[]string{"username", "password", "legacy"},
			popFlags,
		),
		Inherited: slices.Concat(accountFlags, []string{"legacy"}, popFlags),
		Required:  identityFlags,
	},
	Open: openUsernamePassword,
}

// openUsernamePassword does not seal with the password alone: people choose passwords that can be
// guessed, and the thief of a folder has time.
func openUsernamePassword(r Request, w Options, wr entra.Client) (Login, error) {
	login := Login{
		Inputs: append(r.cacheInputs(wr), "username="+r.Username),
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			client, err := a.publicClient(r, nil)
			if err != nil {
				return nil, err
			}
			return credentialFunc(
				func(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
					var bound []public.AcquireByUsernamePasswordOption
					if a.proofKey != nil {
						bound = append(bound, public.WithAuthenticationScheme(a.proofKey))
					}
					//lint:ignore SA1019 it is deprecated, and kubeconfigs that use it have to go on working
					return toAccessToken(
						client.AcquireTokenByUsernamePassword(
							ctx,
							o.Scopes,
							r.Username,
							r.Password,
							bound...),
					)
				},
			), nil
		},
	}
	if key := w.loadUserKey(); key != nil {
		login.Secret = append(slices.Clone(key), r.Password...)
	}
	return login, nil
}
