package token

import (
	"context"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// Get returns a token for r: a cached one from opts.Store, or a new one from Entra ID. At a cache
// miss one process requests a token while the others wait for its result.
//
// ctx bounds the whole call, including retries and waiting for other processes, and should have a
// deadline: r.Timeout only appears in messages. Get may be called from many goroutines at once.
//
// An invalid request fails with a *UsageError before anything leaves the machine. If Entra ID
// refuses the request, the error wraps a *[Refusal]. If ctx ends, it wraps ctx's error. Other
// errors have no type that programs need. [Explain] returns the explanation of any error.
func Get(ctx context.Context, r Request, opts Options) (Token, error) {
	opts = opts.withDefaults()
	opts.Log = r.RedactingLogger(opts.Log, opts.Getenv)
	m, err := r.Check()
	if err != nil {
		return Token{}, err
	}
	if r.loginOrder != "" {
		opts.Log.Debug("the first login that can be used here", "login", r.Login, "of", r.loginOrder,
			"skipped", strings.Join(r.skippedLogins, "; "))
	}
	for _, flag := range slices.Concat([]string{"login"}, m.flags()) {
		switch from := r.From[flag]; {
		case from == "":
		case isSecretFlag(flag):
			opts.Log.Debug(flag, "value", "(secret)", "from", from)
		default:
			opts.Log.Debug(flag, "value", r.flagValue(flag), "from", from)
		}
	}
	if r.Legacy {
		opts.Log.Debug("--legacy has no meaning for this login method and is ignored")
	}
	tok, err := m.get(ctx, r, opts)
	if err == nil && r.PoPEnabled {
		return signPoP(tok, r, opts.Now())
	}
	return tok, err
}

// get returns a token for r as Entra ID issued it, without a proof of possession.
func (m Method) get(ctx context.Context, r Request, opts Options) (Token, error) {
	for first := true; ; first = false {
		client, err := newClient(m, r, opts)
		if err != nil {
			return Token{}, err
		}
		login, err := m.Open(r, opts, client)
		if err != nil {
			return Token{}, err
		}
		source := &reuseTokenSource{
			Options:          opts,
			store:            opts.openStore(login.Secret, login.Inputs),
			routeHash:        routeHash(r, opts),
			promptInProgress: login.PromptInProgress,
			exchange: func(ctx context.Context, mayPrompt bool) (Token, error) {
				opts := opts
				if !mayPrompt {
					opts.Prompt = nil
				}
				return exchange(ctx, r, opts, login, client)
			},
			lastOutcome:   client.LastOutcome,
			inputsChanged: login.InputsChanged,
			replay: func(f *failure) error {
				return replayFailure(f, r, opts, login, client)
			},
		}
		client.LastOutcome.OnThrottle = func(refusal *Refusal) {
			source.shareThrottle(newExchangeError(r, opts, login, client, refusal))
		}
		tok, err := source.token(ctx)
		// A rotated federated token is another secret, which opens another entry of the store:
		// start again.
		if first && hasAADSTS(err, entra.CodeAssertionExpired) &&
			login.Rotated != nil && login.Rotated() {
			opts.Log.Debug("the federated token was replaced, trying again with the new one")
			continue
		}
		return tok, err
	}
}
