package token

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/akslogin/akslogin/token/internal/entra"
)

const deviceCodeName = "devicecode"

// deviceCode lets a person sign in with a browser on any machine (RFC 8628).
var deviceCode = Method{
	Name:          deviceCodeName,
	About:         "a person, with a code in a browser on any machine",
	Required:      []string{"client-id", "tenant-id"},
	Optional:      slices.Concat(entraFlags, []string{"legacy", "prompt"}),
	MissingHint:   "for AKS the client ID is " + PublicClientID + " and the tenant the cluster's",
	Interactive:   true,
	SharedTenants: sharedTenants,
	Hints: map[int]string{
		50005: deviceCodeHint, 50097: deviceCodeHint, 50131: deviceCodeHint, 53000: deviceCodeHint,
		53001: deviceCodeHint, 53003: deviceCodeHint, 530003: deviceCodeHint,
		530032: deviceCodeHint, 530033: deviceCodeHint,
	},
	SealedWith: "a key of the user's own; the refresh token likewise",
	Stanza: Stanza{
		Flags:     slices.Concat(accountFlags, []string{"legacy", "prompt"}),
		Inherited: slices.Concat(accountFlags, []string{"legacy", "prompt"}),
		Required:  identityFlags,
	},
	Open: openDeviceCode,
}

func openDeviceCode(r Request, opts Options, client entra.Client) (Login, error) {
	return userLogin(r, opts, client, nil, askWithDeviceCode)
}

// askWithDeviceCode is an askFunc. It prints a code and waits until it is entered in a browser.
func askWithDeviceCode(
	ctx context.Context,
	a attempt,
	client public.Client,
	scopes []string,
) (public.AuthResult, error) {
	code, err := client.AcquireTokenByDeviceCode(ctx, scopes)
	if err != nil {
		return public.AuthResult{}, err
	}
	message := cmp.Or(code.Result.Message, fmt.Sprintf(
		"To sign in, open %s in a browser and enter the code %s.",
		code.Result.VerificationURL, code.Result.UserCode,
	))
	if _, err := fmt.Fprintln(a.Prompt, message); err != nil {
		return public.AuthResult{}, fmt.Errorf("show the code: %w", err)
	}
	result, err := code.AuthenticationResult(ctx)
	if a.LastOutcome.Refusal != nil && a.LastOutcome.Refusal.IsPending() {
		a.LastOutcome.ServerURL = "" // Entra ID answered; the person did not finish
		if ctx.Err() == nil {
			err = errors.New("the code expired before it was entered")
		}
	}
	return result, err
}
