package token

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	msalcache "github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// refreshTokenLifetime is how long a refresh token that nobody uses lives at Entra ID; every use
// makes a new one.
// https://learn.microsoft.com/entra/identity-platform/refresh-tokens#token-lifetime
const refreshTokenLifetime = 90 * 24 * time.Hour

// publicClient is MSAL's client for people, on which azidentity's credentials for them rest: those
// have no way to keep a refresh token but in a keyring. signInCache may be nil: then nothing is
// kept.
func (a attempt) publicClient(r Request, signIn msalcache.ExportReplace) (public.Client, error) {
	options := []public.Option{
		public.WithAuthority(a.Authority + r.TenantID),
		public.WithHTTPClient(a.httpClient()),
	}
	if signIn != nil {
		options = append(options, public.WithCache(signIn))
	}
	if a.skipsInstanceDiscovery(r) {
		options = append(options, public.WithInstanceDiscovery(false))
	}
	return public.New(r.ClientID, options...)
}

// userLogin is the login of a method that asks a person: who has signed in before is not asked
// again while Entra ID takes his refresh token. The sign-in is kept for all audiences, apart from
// the access tokens.
func userLogin(
	r Request,
	w Options,
	wr entra.Client,
	who []string,
	ask func(context.Context, attempt, public.Client, []string) (public.AuthResult, error),
) (Login, error) {
	key := w.loadUserKey()
	inputs := append(r.cacheInputs(wr), who...)
	shared := append(
		slices.DeleteFunc(
			slices.Clone(inputs),
			func(in string) bool { return strings.HasPrefix(in, "audience=") || strings.HasPrefix(in, "type=") },
		),
		"holds="+HoldsSignIn,
	)
	return Login{
		Secret: key,
		Inputs: inputs,
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			kept := &signInCache{Options: w, store: w.openStore(key, shared)}
			return credentialFunc(
				func(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
					return kept.token(
						ctx,
						r,
						a,
						func(client public.Client) (public.AuthResult, error) { return ask(ctx, a, client, o.Scopes) },
						o.Scopes,
					)
				},
			), nil
		},
		PromptInProgress: func(ctx context.Context) bool {
			signIns := w.openStore(key, shared)
			if signIns == nil {
				return false
			}
			unlock, err := signIns.lock(ctx, false, time.Second)
			unlock()
			return err != nil
		},
		HintValues: func() map[string]string {
			return map[string]string{"username": cmp.Or(r.LoginHint, "whoever signed in")}
		},
	}, nil
}

// token asks with the kept sign-in, else a person. Whoever asks for another audience at the same
// time waits until he has answered, and takes the same sign-in.
func (s *signInCache) token(
	ctx context.Context,
	r Request,
	a attempt,
	ask func(public.Client) (public.AuthResult, error),
	scopes []string,
) (azcore.AccessToken, error) {
	result, refused, err := s.silent(ctx, r, a, scopes)
	if err != errNoSignIn {
		return toAccessToken(result, err)
	}
	if a.Prompt == nil {
		return azcore.AccessToken{}, &signInNeededError{refused: refused}
	}
	if s.store != nil {
		deadline, _ := ctx.Deadline() // none is a deadline long ago, and then nobody is waited for
		unlock, err := a.lockWithNotice(
			func() (func(), error) { return s.store.lock(ctx, true, max(time.Until(deadline), 0)) },
		)
		defer unlock()
		if err != nil {
			a.Log.Debug("going on without a lock on the sign-in", "reason", err)
		}
		if result, _, err := s.silent(ctx, r, a, scopes); err != errNoSignIn {
			return toAccessToken(result, err)
		}
	}
	*a.LastOutcome = entra.Outcome{} // what became of the former sign-in is over
	client, err := a.publicClient(
		r,
		&signInCache{Options: s.Options, store: s.store, ignoreStored: true},
	)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	result, err = ask(client)
	if err != nil &&
		err.Error() == "" { // MSAL's, where a browser comes back with an error and no words
		err = errors.New("the sign-in was not finished")
	}
	return toAccessToken(result, err)
}

// errNoSignIn says that there is no sign-in to go on with.
var errNoSignIn = errors.New("nobody has signed in")

// silent asks with the refresh token of whoever signed in before. errNoSignIn: there is none, or
// Entra ID refused it, as refused then says.
func (s *signInCache) silent(
	ctx context.Context,
	r Request,
	a attempt,
	scopes []string,
) (_ public.AuthResult, refused *entra.Refusal, _ error) {
	none := public.AuthResult{}
	client, err := a.publicClient(r, s)
	if err != nil {
		return none, nil, err
	}
	accounts, err := client.Accounts(ctx)
	if err != nil || len(accounts) != 1 {
		return none, nil, errNoSignIn
	}
	options := []public.AcquireSilentOption{public.WithSilentAccount(accounts[0])}
	if a.proofKey != nil {
		options = append(options, public.WithAuthenticationScheme(a.proofKey))
	}
	*a.LastOutcome = entra.Outcome{}
	result, err := client.AcquireTokenSilent(ctx, scopes, options...)
	switch {
	case err == nil:
		return result, nil, nil
	case a.LastOutcome.ServerURL == "": // there was nothing to ask with
		return none, nil, errNoSignIn
	}
	err = rootCause(ctx, err, a.LastOutcome)
	a.Log.Debug("the kept sign-in did not yield a token", "error", redact.Excerpt(err.Error()))
	if errors.As(err, &refused) && refused.NeedsSignIn() {
		s.forget()
		return none, refused, errNoSignIn
	}
	return none, nil, err
}

// signInCache keeps MSAL's cache, without its access tokens, in a store: one account. It is never
// the reason of a failure.
type signInCache struct {
	Options
	store        *timeoutStore // nil: nothing is kept
	ignoreStored bool          // somebody signs in: what is kept is not for him, and what he has takes its place

	lastRead []byte // what was kept when it was last read
}

// Replace gives MSAL what is kept.
func (s *signInCache) Replace(
	_ context.Context,
	cache msalcache.Unmarshaler,
	_ msalcache.ReplaceHints,
) error {
	if s.store == nil || s.ignoreStored {
		return nil
	}
	data, err := s.store.get()
	if err == nil {
		err = cache.Unmarshal(data)
	}
	if err != nil {
		s.Log.Debug("no sign-in is kept", "reason", err)
	}
	s.lastRead = data
	return nil
}

// Export keeps what MSAL has. Access tokens have entries of their own; with them in its cache MSAL
// would not ask for new ones. What somebody else has kept or removed since it was read stays so.
func (s *signInCache) Export(
	_ context.Context,
	cache msalcache.Marshaler,
	_ msalcache.ExportHints,
) error {
	if s.store == nil {
		return nil
	}
	data, err := cache.Marshal()
	var parts map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(data, &parts)
	}
	if err == nil {
		delete(parts, "AccessToken")
		data, err = json.Marshal(parts)
	}
	if now, _ := s.store.get(); err == nil && !s.ignoreStored && !bytes.Equal(now, s.lastRead) {
		err = errors.New("somebody else has changed it")
	}
	if err == nil {
		err = s.store.put(data, HoldsSignIn, s.Now().Add(refreshTokenLifetime))
	}
	if err != nil {
		s.Log.Debug("the sign-in is not kept", "error", err)
	}
	return nil
}

// forget makes sure that a refresh token that was refused is not shown again.
func (s *signInCache) forget() {
	if s.store == nil {
		return
	}
	if err := s.store.put([]byte("{}"), "nothing", s.Now()); err != nil {
		s.Log.Debug("the refused sign-in stays", "error", err)
	}
}
