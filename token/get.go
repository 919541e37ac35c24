package token

import (
	"context"
	"slices"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// Get answers r: from the store, or by asking Entra ID within ctx. Give ctx a deadline: r.Timeout
// only names it in words. A request that cannot work is refused with a *UsageError before anything
// leaves the machine. Explain puts any error that Get returns into words.
func Get(ctx context.Context, r Request, w Options) (Token, error) {
	w = w.withDefaults()
	w.Log = r.RedactingLogger(w.Log, w.Getenv)
	m, err := r.Check()
	if err != nil {
		return Token{}, err
	}
	for _, flag := range slices.Concat([]string{"login"}, m.flags()) {
		switch from := r.From[flag]; {
		case from == "":
		case isSecretFlag(flag):
			w.Log.Debug(flag, "value", "(secret)", "from", from)
		default:
			w.Log.Debug(flag, "value", r.flagValue(flag), "from", from)
		}
	}
	if r.Legacy {
		w.Log.Debug("--legacy has no meaning for this login method and is ignored")
	}
	tok, err := m.get(ctx, r, w)
	if err == nil && r.PoPEnabled {
		return signPoP(tok, r, w.Now())
	}
	return tok, err
}

// get answers r with a stored token or a new one, as Entra ID issued it.
func (m Method) get(ctx context.Context, r Request, w Options) (Token, error) {
	for first := true; ; first = false {
		wr, err := newClient(m, r, w)
		if err != nil {
			return Token{}, err
		}
		login, err := m.Open(r, w, wr)
		if err != nil {
			return Token{}, err
		}
		u := &reuseTokenSource{
			Options:          w,
			store:            w.openStore(login.Secret, login.Inputs),
			routeHash:        routeHash(r, w),
			promptInProgress: login.PromptInProgress,
			exchange: func(ctx context.Context, needed bool) (Token, error) {
				w := w
				if !needed {
					w.Prompt = nil
				}
				return exchange(ctx, r, w, login, wr)
			},
			inputsChanged: login.InputsChanged,
			replayRefusal: func(f *failure) error { return replayRefusal(f, r, w, login, wr) },
		}
		tok, err := u.token(ctx)
		// A rotated token is another secret, and has an entry of its own in the store: begin again
		// with it.
		if first && hasAADSTS(err, entra.CodeAssertionExpired) && login.Rotated != nil &&
			login.Rotated() {
			w.Log.Debug("the federated token was replaced meanwhile, trying again with the new one")
			continue
		}
		return tok, err
	}
}
