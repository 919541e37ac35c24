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

// refreshTokenLifetime is how long Entra ID accepts an unused refresh token. Every use returns a
// new one.
// https://learn.microsoft.com/entra/identity-platform/refresh-tokens#token-lifetime
const refreshTokenLifetime = 90 * 24 * time.Hour

// publicClient returns MSAL's client for people. azidentity's credentials are built on it, but can
// keep a refresh token only in a keyring. A nil signIn means that nothing is kept.
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

// askFunc asks a person to sign in.
type askFunc func(
	ctx context.Context,
	a attempt,
	client public.Client,
	scopes []string,
) (public.AuthResult, error)

// userLogin returns the login of an interactive method. A person who has signed in before is not
// asked again as long as Entra ID accepts the refresh token. The sign-in is stored in an entry of
// its own, which all audiences share. extraInputs are added to Login.Inputs.
func userLogin(
	r Request,
	opts Options,
	client entra.Client,
	extraInputs []string,
	ask askFunc,
) (Login, error) {
	key := opts.loadUserKey()
	inputs := append(r.cacheInputs(client), extraInputs...)
	signInInputs := slices.DeleteFunc(slices.Clone(inputs), func(input string) bool {
		return strings.HasPrefix(input, "audience=") || strings.HasPrefix(input, "type=")
	})
	signInInputs = append(signInInputs, "holds="+HoldsSignIn)
	return Login{
		Secret: key,
		Inputs: inputs,
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			signIn := &signInCache{Options: opts, store: opts.openStore(key, signInInputs)}
			return signIn.credential(r, a, ask), nil
		},
		PromptInProgress: func(ctx context.Context) bool {
			store := opts.openStore(key, signInInputs)
			if store == nil {
				return false
			}
			unlock, err := store.lock(ctx, false, time.Second)
			unlock()
			return err != nil
		},
		HintValues: func() map[string]string {
			return map[string]string{"username": cmp.Or(r.LoginHint, "whoever signed in")}
		},
	}, nil
}

// signInCache stores MSAL's cache, which has one account, without the access tokens in it. Its
// errors never make a login fail.
type signInCache struct {
	Options
	store        *timeoutStore // nil: nothing is kept
	ignoreStored bool          // during a new sign-in, which replaces the stored one

	lastRead []byte // what the store held when it was last read
}

func (s *signInCache) credential(r Request, a attempt, ask askFunc) azcore.TokenCredential {
	return credentialFunc(
		func(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
			return s.token(ctx, r, a, o.Scopes, ask)
		},
	)
}

// token requests a token with the stored sign-in, or else asks a person to sign in. Meanwhile
// another process that needs the same sign-in, for whatever audience, waits and then uses it.
func (s *signInCache) token(
	ctx context.Context,
	r Request,
	a attempt,
	scopes []string,
	ask askFunc,
) (azcore.AccessToken, error) {
	result, refused, err := s.silent(ctx, r, a, scopes)
	if err != errNoSignIn {
		return toAccessToken(result, err)
	}
	if a.Prompt == nil {
		return azcore.AccessToken{}, &signInNeededError{refused: refused}
	}
	if s.store != nil {
		deadline, _ := ctx.Deadline() // in the past if there is none: then there is no wait
		unlock, err := a.lockWithNotice(func() (func(), error) {
			return s.store.lock(ctx, true, max(time.Until(deadline), 0))
		})
		defer unlock()
		if err != nil {
			a.Log.Debug("going on without a lock on the sign-in", "reason", err)
		}
		if result, _, err := s.silent(ctx, r, a, scopes); err != errNoSignIn {
			return toAccessToken(result, err)
		}
	}
	a.LastOutcome.Begin("") // the refused sign-in is of no interest any more
	fresh := &signInCache{Options: s.Options, store: s.store, ignoreStored: true}
	client, err := a.publicClient(r, fresh)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	result, err = ask(ctx, a, client, scopes)
	if err != nil && err.Error() == "" {
		// MSAL returns this if the browser reports an error without a description.
		err = errors.New("the sign-in was not finished")
	}
	return toAccessToken(result, err)
}

// errNoSignIn means that there is no usable sign-in in the store.
var errNoSignIn = errors.New("nobody has signed in")

// silent requests a token with the stored refresh token. It returns errNoSignIn if there is none,
// or if Entra ID refused it; then refused is that refusal.
func (s *signInCache) silent(
	ctx context.Context,
	r Request,
	a attempt,
	scopes []string,
) (_ public.AuthResult, refused *Refusal, _ error) {
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
	a.LastOutcome.Begin("")
	result, err := client.AcquireTokenSilent(ctx, scopes, options...)
	switch {
	case err == nil:
		return result, nil, nil
	case a.LastOutcome.ServerURL == "": // there was no refresh token to send
		return none, nil, errNoSignIn
	}
	err = rootCause(ctx, err, a.LastOutcome)
	a.Log.Debug("the stored sign-in did not yield a token", "error", redact.Excerpt(err.Error()))
	if errors.As(err, &refused) && refused.NeedsSignIn() {
		s.forget()
		return none, refused, errNoSignIn
	}
	return none, nil, err
}

// Replace implements MSAL's cache.ExportReplace. It loads the stored sign-in into MSAL's cache.
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
		s.Log.Debug("no sign-in is stored", "reason", err)
	}
	s.lastRead = data
	return nil
}

// Export implements MSAL's cache.ExportReplace. It stores MSAL's cache without access tokens: these
// have entries of their own, and if MSAL found one in its cache it would not request a new one. A
// sign-in that another process has stored or removed since Replace is left alone.
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
		err = errors.New("another process has changed it")
	}
	if err == nil {
		err = s.store.put(data, HoldsSignIn, s.Now().Add(refreshTokenLifetime))
	}
	if err != nil {
		s.Log.Debug("the sign-in is not stored", "error", err)
	}
	return nil
}

// forget removes a refused refresh token from the store, so that it is not sent again.
func (s *signInCache) forget() {
	if s.store == nil {
		return
	}
	if err := s.store.put([]byte("{}"), "nothing", s.Now()); err != nil {
		s.Log.Debug("the refused sign-in cannot be removed", "error", err)
	}
}
