package token

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	msalcache "github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// KeptSignIn is what a Store's Put is told that an entry with a person's sign-in holds: a refresh token.
const KeptSignIn = "sign-in"

// signInLife is how long a refresh token that nobody uses lives at Entra ID; every use makes a new one.
// https://learn.microsoft.com/entra/identity-platform/refresh-tokens#token-lifetime
const signInLife = 90 * 24 * time.Hour

// personPatience is the timeout where a person has to find a browser, a password and a second factor, unless one was given.
const personPatience = 10 * time.Minute

// publicClient is MSAL's client for people, on which azidentity's credentials for them rest: those have no way to keep a refresh token but
// in a keyring. signIn may be nil: then nothing is kept.
func (a attempt) publicClient(r Request, signIn msalcache.ExportReplace) (public.Client, error) {
	options := []public.Option{public.WithAuthority(a.authority + r.TenantID), public.WithHTTPClient(a.httpClient())}
	if signIn != nil {
		options = append(options, public.WithCache(signIn))
	}
	if a.vouchedFor(r) {
		options = append(options, public.WithInstanceDiscovery(false))
	}
	return public.New(r.ClientID, options...)
}

// personLogin is the login of a method that asks a person: who has signed in before is not asked again while Entra ID takes his refresh
// token. The sign-in is kept for all audiences, apart from the access tokens.
func personLogin(r Request, w World, wr wire, who []string, ask func(context.Context, attempt, public.Client, []string) (public.AuthResult, error)) (Login, error) {
	key := w.ownKey()
	inputs := append(r.inputs(wr), who...)
	shared := append(slices.DeleteFunc(slices.Clone(inputs), func(in string) bool { return strings.HasPrefix(in, "audience=") || strings.HasPrefix(in, "type=") }), "holds="+KeptSignIn)
	return Login{
		Secret: key,
		Inputs: inputs,
		Credential: func(a attempt) (azcore.TokenCredential, error) {
			kept := &signIn{World: w, store: w.keep(key, shared)}
			return credentialFunc(func(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
				return kept.token(ctx, r, a, func(client public.Client) (public.AuthResult, error) { return ask(ctx, a, client, o.Scopes) }, o.Scopes)
			}), nil
		},
		Asking: func(ctx context.Context) bool {
			signIns := w.keep(key, shared)
			if signIns == nil {
				return false
			}
			unlock, err := signIns.lock(ctx, false, time.Second)
			unlock()
			return err != nil
		},
		Facts: func() map[string]string {
			return map[string]string{"username": cmp.Or(r.LoginHint, "whoever signed in")}
		},
	}, nil
}

// token asks with the kept sign-in, else a person. Whoever asks for another audience at the same time waits until he has answered, and takes
// the same sign-in.
func (s *signIn) token(ctx context.Context, r Request, a attempt, ask func(public.Client) (public.AuthResult, error), scopes []string) (azcore.AccessToken, error) {
	result, refused, err := s.silent(ctx, r, a, scopes)
	if err != errNobody {
		return granting(result, err)
	}
	if a.Prompt == nil {
		return azcore.AccessToken{}, &needsPerson{refused: refused}
	}
	if s.store != nil {
		deadline, _ := ctx.Deadline() // none is a deadline long ago, and then nobody is waited for
		unlock, err := a.waitFor(func() (func(), error) { return s.store.lock(ctx, true, max(time.Until(deadline), 0)) })
		defer unlock()
		if err != nil {
			a.Log.Debug("going on without a lock on the sign-in", "reason", err)
		}
		if result, _, err := s.silent(ctx, r, a, scopes); err != errNobody {
			return granting(result, err)
		}
	}
	*a.last = outcome{} // what became of the former sign-in is over
	client, err := a.publicClient(r, &signIn{World: s.World, store: s.store, alone: true})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	result, err = ask(client)
	if err != nil && err.Error() == "" { // MSAL's, where a browser comes back with an error and no words
		err = errors.New("the sign-in was not finished")
	}
	return granting(result, err)
}

// tellWaiting is how long a person is left without a word while another process is waited for.
const tellWaiting = time.Second

// waitFor tells a person that something takes time because of others.
func (w World) waitFor(lock func() (func(), error)) (unlock func(), err error) {
	told := time.AfterFunc(tellWaiting, func() {
		fmt.Fprintln(w.Prompt, "waiting for another process, which may be asking somebody to sign in")
	})
	defer told.Stop()
	return lock()
}

// errNobody says that there is no sign-in to go on with.
var errNobody = errors.New("nobody has signed in")

// silent asks with the refresh token of whoever signed in before. errNobody: there is none, or Entra ID refused it, as refused then says.
func (s *signIn) silent(ctx context.Context, r Request, a attempt, scopes []string) (_ public.AuthResult, refused *Refusal, _ error) {
	none := public.AuthResult{}
	client, err := a.publicClient(r, s)
	if err != nil {
		return none, nil, err
	}
	accounts, err := client.Accounts(ctx)
	if err != nil || len(accounts) != 1 {
		return none, nil, errNobody
	}
	options := []public.AcquireSilentOption{public.WithSilentAccount(accounts[0])}
	if a.proof != nil {
		options = append(options, public.WithAuthenticationScheme(a.proof))
	}
	*a.last = outcome{}
	result, err := client.AcquireTokenSilent(ctx, scopes, options...)
	switch {
	case err == nil:
		return result, nil, nil
	case a.last.asked == "": // there was nothing to ask with
		return none, nil, errNobody
	}
	err = why(ctx, err, a.last)
	a.Log.Debug("the kept sign-in did not yield a token", "error", clean(err.Error()))
	if errors.As(err, &refused) && refused.wantsPerson() {
		s.forget()
		return none, refused, errNobody
	}
	return none, nil, err
}

// wantsPerson tells whether Entra ID refused a refresh token, or wants more than one: a person has to sign in.
func (r *Refusal) wantsPerson() bool {
	return slices.Contains([]string{"invalid_grant", "interaction_required", "login_required", "consent_required"}, r.Name)
}

// needsPerson says that a person would have to sign in, and nobody can be asked.
type needsPerson struct {
	refused *Refusal // the kept sign-in, where there was one; nil otherwise
}

func (e *needsPerson) Error() string {
	if e.refused != nil {
		return fmt.Sprintf("a person has to sign in again, and nobody can be asked here: %v", e.refused)
	}
	return "a person has to sign in, and nobody can be asked here"
}

// signIn keeps MSAL's cache, without its access tokens, in a store: one account. It is never the reason of a failure.
type signIn struct {
	World
	store *timely // nil: nothing is kept
	alone bool    // somebody signs in: what is kept is not for him, and what he has takes its place

	was []byte // what was kept when it was last read
}

// Replace gives MSAL what is kept.
func (s *signIn) Replace(_ context.Context, cache msalcache.Unmarshaler, _ msalcache.ReplaceHints) error {
	if s.store == nil || s.alone {
		return nil
	}
	data, err := s.store.get()
	if err == nil {
		err = cache.Unmarshal(data)
	}
	if err != nil {
		s.Log.Debug("no sign-in is kept", "reason", err)
	}
	s.was = data
	return nil
}

// Export keeps what MSAL has. Access tokens have entries of their own; with them in its cache MSAL would not ask for new ones. What somebody
// else has kept or removed since it was read stays so.
func (s *signIn) Export(_ context.Context, cache msalcache.Marshaler, _ msalcache.ExportHints) error {
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
	if now, _ := s.store.get(); err == nil && !s.alone && !bytes.Equal(now, s.was) {
		err = errors.New("somebody else has changed it")
	}
	if err == nil {
		err = s.store.put(data, KeptSignIn, s.Now().Add(signInLife))
	}
	if err != nil {
		s.Log.Debug("the sign-in is not kept", "error", err)
	}
	return nil
}

// forget makes sure that a refresh token that was refused is not shown again.
func (s *signIn) forget() {
	if s.store == nil {
		return
	}
	if err := s.store.put([]byte("{}"), "nothing", s.Now()); err != nil {
		s.Log.Debug("the refused sign-in stays", "error", err)
	}
}
