package token

import (
	"context"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// usernamePassword logs in with a person's user name and password (RFC 6749, section 4.3). It does
// not work for accounts with a second factor.
var usernamePassword = Method{
	Name:        "ropc",
	About:       "a user's name and password, without a second factor",
	Required:    []string{"client-id", "tenant-id", "username", "password"},
	Optional:    slices.Concat(entraFlags, popFlags),
	MissingHint: "for AKS the client ID is " + PublicClientID,
	// https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc
	SharedTenants: []string{"organizations"},
	SealedWith:    "the password and a key of the user's own",
	Stanza: Stanza{
		Flags: slices.Concat(
			accountFlags,
			[]string{"username", "password"},
			popFlags,
		),
		Inherited: slices.Concat(accountFlags, popFlags),
		Required:  identityFlags,
	},
	Open: openUsernamePassword,
}

func openUsernamePassword(r Request, opts Options, client entra.Client) (Login, error) {
	login := Login{
		Inputs: append(r.cacheInputs(client), "username="+r.Username),
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			return a.passwordCredential(r)
		},
	}
	// The password alone does not seal: an attacker with a copy of the cache could guess it
	// offline.
	if key := opts.loadUserKey(); key != nil {
		login.Secret = append(slices.Clone(key), r.Password...)
	}
	return login, nil
}

func (a attempt) passwordCredential(r Request) (azcore.TokenCredential, error) {
	client, err := a.publicClient(r, nil)
	if err != nil {
		return nil, err
	}
	var options []public.AcquireByUsernamePasswordOption
	if a.proofKey != nil {
		options = append(options, public.WithAuthenticationScheme(a.proofKey))
	}
	return credentialFunc(
		func(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
			//lint:ignore SA1019 kubeconfigs that use this deprecated function must keep working
			return toAccessToken(client.AcquireTokenByUsernamePassword(
				ctx, o.Scopes, r.Username, r.Password, options...,
			))
		},
	), nil
}
