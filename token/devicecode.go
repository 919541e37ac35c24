package token

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// deviceCode lets a person sign in in any browser, on any machine (RFC 8628).
var deviceCode = Method{
	Name:     "devicecode",
	About:    "a person, with a code in a browser on any machine",
	Needs:    []string{"client-id", "tenant-id"},
	Uses:     slices.Concat(asking, []string{"legacy"}),
	Missing:  "for AKS the client ID is " + PublicClient + " and the tenant the cluster's",
	Asks:     true,
	Presents: "a key of the user's own; the refresh token likewise",
	Stanza: Stanza{
		Writes:   slices.Concat(personal, []string{"legacy"}),
		Inherits: slices.Concat(personal, []string{"legacy"}),
		Requires: identity,
	},
	Open: openDeviceCode,
}

func openDeviceCode(r Request, w World, wr wire) (Login, error) {
	return personLogin(r, w, wr, nil, func(ctx context.Context, a attempt, client public.Client, scopes []string) (public.AuthResult, error) {
		code, err := client.AcquireTokenByDeviceCode(ctx, scopes)
		if err != nil {
			return public.AuthResult{}, err
		}
		said := cmp.Or(code.Result.Message, fmt.Sprintf("To sign in, open %s in a browser and enter the code %s.", code.Result.VerificationURL, code.Result.UserCode))
		if _, err := fmt.Fprintln(a.Prompt, said); err != nil {
			return public.AuthResult{}, fmt.Errorf("show the code: %w", err)
		}
		result, err := code.AuthenticationResult(ctx)
		if a.last.refusal != nil && a.last.refusal.pending() {
			a.last.asked = "" // it was the person's turn
			if ctx.Err() == nil {
				err = errors.New("the code expired before it was entered")
			}
		}
		return result, err
	})
}
