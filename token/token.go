// Package token turns a Request into a Token: it reads what a login method presents, answers from a sealed store
// where that holds a fresh token, and otherwise sees to it that one process asks Microsoft Entra ID and the
// others wait for its result.
package token

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
)

// Token is an access token as Entra ID issued it. Times are by this machine's clock.
type Token struct {
	Value     string    `json:"value"`               // goes into "Authorization: Bearer"; secret
	Obtained  time.Time `json:"obtained"`            // when it came
	Expires   time.Time `json:"expires"`             // when Entra ID says it ends
	RefreshOn time.Time `json:"refresh_on,omitzero"` // from when Entra ID wants it renewed; zero: it did not say

	Proof []byte `json:"proof,omitempty"` // the private key (PKCS #8) that the token is bound to; in the store only, Get returns none
}

// Until is the moment to tell a client as the token's end: a minute, or a tenth of its life where that is less, before
// the real one, because client-go uses a token to the very second that it was told. It lies in the future as
// long as the token does; the result is in UTC and whole seconds.
func (t Token) Until(now time.Time) time.Time {
	end := t.Expires.UTC()
	for _, until := range []time.Time{end.Add(-min(time.Minute, t.life()/10)), end} {
		if until = until.Truncate(time.Second); until.After(now) {
			return until
		}
	}
	return end.Add(time.Second - 1).Truncate(time.Second)
}

// Steady is the time in which [Get] answers with the token as it is, and looks for no other.
func (t Token) Steady() (from, until time.Time) {
	until = t.stale()
	if !t.RefreshOn.IsZero() && t.RefreshOn.Before(until) {
		until = t.RefreshOn
	}
	return t.Obtained.Add(-setBack), until
}

func (t Token) life() time.Duration { return t.Expires.Sub(t.Obtained) }

// World is what a login needs of its surroundings. The zero value is usable: it keeps nothing and says nothing.
type World struct {
	Getenv func(string) string                        // nil: os.Getenv. An empty variable counts as unset
	Now    func() time.Time                           // nil: time.Now
	Log    *slog.Logger                               // nil: silence. Never gets a secret
	Store  func(secret []byte, inputs []string) Store // nil: nothing is kept. May return nil for the same
	Pace   time.Duration                              // first pause before a request is tried again; 0: 250 ms
	Queue  time.Duration                              // longest wait for another process's result; 0: 20 s
	Waited func() time.Duration                       // how long ago this process began to wait for another's result; nil: it did not. What came since is for this one too
	Yield  func()                                     // called before a token that works and is fresh is renewed: nobody need wait for this run. nil: nothing
	Key    func() ([]byte, error)                     // this user's own key, which seals for methods that present no secret; nil: such methods keep nothing
	Prompt io.Writer                                  // where a person is told how to sign in; nil: nobody is there who could
}

const defaultPace = 250 * time.Millisecond

func (w World) orDefaults() World {
	if w.Getenv == nil {
		w.Getenv = os.Getenv
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	if w.Pace == 0 {
		w.Pace = defaultPace
	}
	if w.Queue == 0 {
		w.Queue = defaultQueue
	}
	if w.Waited == nil {
		w.Waited = func() time.Duration { return 0 }
	}
	if w.Yield == nil {
		w.Yield = func() {}
	}
	return w
}

// Get answers r: from the store, or by asking Entra ID within ctx. Give ctx a deadline: r.Timeout only names it in words.
// A request that cannot work is refused with a *UsageError before anything leaves the machine. Explain puts
// any error that Get returns into words.
func Get(ctx context.Context, r Request, w World) (Token, error) {
	w = w.orDefaults()
	w.Log = r.Discreet(w.Log, w.Getenv)
	m, err := r.Check()
	if err != nil {
		return Token{}, err
	}
	for _, flag := range slices.Concat([]string{"login"}, m.flags()) {
		switch from := r.From[flag]; {
		case from == "":
		case isSecret(flag):
			w.Log.Debug(flag, "value", "(secret)", "from", from)
		default:
			w.Log.Debug(flag, "value", r.value(flag), "from", from)
		}
	}
	if r.Legacy {
		w.Log.Debug("--legacy has no meaning for this login method and is ignored")
	}
	tok, err := m.get(ctx, r, w)
	if err == nil && r.PoPEnabled {
		return proven(tok, r, w.Now())
	}
	return tok, err
}

// get answers r with a stored token or a new one, as Entra ID issued it.
func (m Method) get(ctx context.Context, r Request, w World) (Token, error) {
	for first := true; ; first = false {
		wr, err := newWire(m, r, w)
		if err != nil {
			return Token{}, err
		}
		login, err := m.Open(r, w, wr)
		if err != nil {
			return Token{}, err
		}
		u := &reuser{
			World: w, store: w.keep(login.Secret, login.Inputs), route: route(r, w), asking: login.Asking,
			ask: func(ctx context.Context, needed bool) (Token, error) {
				w := w
				if !needed {
					w.Prompt = nil
				}
				return exchange(ctx, r, w, login, wr)
			},
			unsure: login.Unsure,
			retell: func(f *failure) error { return retold(f, r, w, login, wr) },
		}
		tok, err := u.token(ctx)
		// A rotated token is another secret, and has an entry of its own in the store: begin again with it.
		if first && refusedWith(err, assertionOutOfTime) && login.Replaced != nil && login.Replaced() {
			w.Log.Debug("the federated token was replaced meanwhile, trying again with the new one")
			continue
		}
		return tok, err
	}
}

// keep is the store for what belongs to secret and inputs; nil: nothing is kept. Without a secret nothing could be sealed.
func (w World) keep(secret []byte, inputs []string) *timely {
	if w.Store == nil || len(secret) == 0 {
		return nil
	}
	if store := w.Store(secret, inputs); store != nil {
		return &timely{store: store}
	}
	return nil
}

// ownKey is this user's own key; nil where there is none, and then a word in the log: what it would seal is not kept.
func (w World) ownKey() []byte {
	if w.Key == nil {
		return nil
	}
	key, err := w.Key()
	if err != nil {
		w.Log.Debug("nothing is kept: there is no key to seal it with", "reason", err)
		return nil
	}
	return key
}

func refusedWith(err error, codes ...int) bool {
	var r *Refusal
	return errors.As(err, &r) && slices.Contains(codes, r.AADSTS)
}

// plain tells whether s is made of ASCII letters, digits and the characters in more, and not empty: it can then stand in
// a URL, a form and a log line as it is.
func plain(s, more string) bool {
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune(more, c):
		default:
			return false
		}
	}
	return s != ""
}
