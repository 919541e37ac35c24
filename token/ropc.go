package token

import (
	"context"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// usernamePassword hands a person's password over (RFC 6749, section 4.3): only where nothing else works, and never for accounts with a
// second factor.
var usernamePassword = Method{
	Name:     "ropc",
	About:    "a user's name and password, without a second factor",
	Needs:    []string{"client-id", "tenant-id", "username", "password"},
	Uses:     slices.Concat(asking, pop),
	Missing:  "for AKS the client ID is " + PublicClient,
	Presents: "the password and a key of the user's own",
	Stanza: Stanza{
		Writes:   slices.Concat(personal, []string{"username", "password", "legacy"}, pop),
		Inherits: slices.Concat(personal, []string{"legacy"}, pop),
		Requires: identity,
	},
	Open: openUsernamePassword,
}

// openUsernamePassword does not seal with the password alone: people choose passwords that can be guessed, and the thief of a folder has time.
func openUsernamePassword(r Request, w World, wr wire) (Login, error) {
	login := Login{
		Inputs: append(r.inputs(wr), "username="+r.Username),
		Credential: func(a attempt) (azcore.TokenCredential, error) {
			client, err := a.publicClient(r, nil)
			if err != nil {
				return nil, err
			}
			return credentialFunc(func(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
				var bound []public.AcquireByUsernamePasswordOption
				if a.proof != nil {
					bound = append(bound, public.WithAuthenticationScheme(a.proof))
				}
				//lint:ignore SA1019 it is deprecated, and kubeconfigs that use it have to go on working
				return granting(client.AcquireTokenByUsernamePassword(ctx, o.Scopes, r.Username, r.Password, bound...))
			}), nil
		},
	}
	if key := w.ownKey(); key != nil {
		login.Secret = append(slices.Clone(key), r.Password...)
	}
	return login, nil
}
