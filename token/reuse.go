package token

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Store keeps one sealed entry and a lock for it; cache.Entry is one. A store may fail in any way: then a login takes
// longer, and that is all.
type Store interface {
	Get() ([]byte, error)                                           // an error is a miss
	Put(data []byte, holds string, expires time.Time) error         // replaces the entry
	Lock(ctx context.Context, wait bool) (unlock func(), err error) // wait false: at once or not at all
}

const (
	// margin is what a fresh token has left at least: Python clients ask again five minutes before the end.
	margin = 10 * time.Minute

	// renewal bounds the attempt to renew a token that still works.
	renewal = 15 * time.Second

	// rest is how long after a failed renewal nobody tries another, while the token still works.
	rest = 30 * time.Second
)

// record is what a Store holds: the last token, and the last failure if it came later.
type record struct {
	Token   Token    `json:"token,omitzero"`
	Failure *failure `json:"failure,omitempty"`
}

// failure is the outcome of an exchange for those who waited for it.
type failure struct {
	At    time.Time   `json:"at"`
	Route string      `json:"route"` // the way it took: it says nothing about other ways
	Told  Explanation `json:"told"`
}

func (f *failure) Error() string { return f.Told.Text }

// reuse answers with the stored token where that is fresh. Where it is not, one process asks while the others wait for its result,
// good or bad. A token past its RefreshOn but otherwise fresh is renewed by one and served to the others meanwhile; a token
// that works still is served when renewing fails.
func reuse(ctx context.Context, store Store, w World, ask func(context.Context) (Token, error)) (Token, error) {
	if store == nil {
		return ask(ctx)
	}
	began := w.Now()
	have := load(store, w)
	switch {
	case have.Token.fresh(began) && !have.Token.due(began):
		w.Log.Debug("answered from the cache", "expires", have.Token.Expires)
		return have.Token, nil
	case have.Token.works(began) && have.failedWithin(rest, began, w):
		w.Log.Debug("the last renewal failed just now; the cached token is served", "expires", have.Token.Expires)
		return have.Token, nil
	}
	if have.Token.works(began) {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, renewal)
		defer done()
	}
	unlock, err := store.Lock(ctx, !have.Token.fresh(began))
	switch {
	case err == nil:
		defer unlock()
	case have.Token.fresh(began):
		w.Log.Debug("another process renews; the cached token is served", "expires", have.Token.Expires)
		return have.Token, nil
	case ctx.Err() != nil:
		return have.orError(w, &waitError{err})
	default:
		w.Log.Debug("no lock could be had, going on without", "error", err)
	}
	have = load(store, w)
	now := w.Now()
	switch {
	case have.Token.fresh(now) && !have.Token.due(now):
		w.Log.Debug("another process has just asked; its token is served", "expires", have.Token.Expires)
		return have.Token, nil
	case have.Failure != nil && have.Failure.At.After(began) && have.Failure.Route == route(w):
		return have.orError(w, have.Failure)
	}
	tok, err := ask(ctx)
	if err != nil {
		have.noteFailure(ctx, store, w, err)
		return have.orError(w, err)
	}
	have = record{Token: tok}
	have.save(store, w)
	return tok, nil
}

// fresh tells whether the token has enough left to be handed out without trying to renew it first.
func (t Token) fresh(now time.Time) bool {
	return t.works(now) && t.Expires.Sub(now) > min(margin, t.life()/5)
}

// due tells whether Entra ID wants the token renewed by now.
func (t Token) due(now time.Time) bool { return !t.RefreshOn.IsZero() && !now.Before(t.RefreshOn) }

// works tells whether the token is in its life. One that was obtained in the future is not: a clock has been set back, and what
// it says about the token's end is worth nothing.
func (t Token) works(now time.Time) bool {
	return t.Value != "" && now.Before(t.Expires) && !now.Before(t.Obtained.Add(-time.Minute))
}

func (r record) orError(w World, err error) (Token, error) {
	if now := w.Now(); r.Token.works(now) {
		w.Log.Debug("renewing failed; the cached token still works and is served", "expires", r.Token.Expires, "error", Explain(err).Text)
		return r.Token, nil
	}
	return Token{}, err
}

func (r record) failedWithin(d time.Duration, now time.Time, w World) bool {
	if r.Failure == nil || r.Failure.Route != route(w) {
		return false
	}
	age := now.Sub(r.Failure.At)
	return age >= 0 && age < d
}

// noteFailure leaves word for the processes that wait. A run that was out of its own time says nothing about theirs,
// unless it was a renewal's.
func (r record) noteFailure(ctx context.Context, store Store, w World, err error) {
	if ctx.Err() != nil && !r.Token.works(w.Now()) {
		return
	}
	r.Failure = &failure{At: w.Now(), Route: route(w), Told: Explain(err)}
	r.save(store, w)
}

func (r record) save(store Store, w World) {
	holds, expires := "token", r.Token.Expires
	if r.Token.Value == "" {
		holds, expires = "failure", r.Failure.At.Add(rest)
	}
	data, err := json.Marshal(r)
	if err == nil {
		err = store.Put(data, holds, expires)
	}
	if err != nil {
		w.Log.Debug("could not write to the cache", "error", err)
	}
}

func load(store Store, w World) record {
	var r record
	data, err := store.Get()
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		w.Log.Debug("nothing in the cache", "reason", err)
		return record{}
	}
	if !plain(r.Token.Value, "-._~+/=") { // never another's, as the entry is sealed; but it is printed
		r.Token = Token{}
	}
	return r
}

// route stands for everything beside the request that decides whether Entra ID can be reached. Proxies may hold passwords: it is a hash.
func route(w World) string {
	h := sha256.New()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		h.Write([]byte(name + "=" + w.Getenv(name) + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// waitError says that a run's time ended while another process was asking.
type waitError struct{ err error }

func (e *waitError) Error() string {
	return "another process is asking Entra ID for the same token, and its answer did not come in time"
}
func (e *waitError) Unwrap() error { return e.err }
