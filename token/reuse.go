package token

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"strconv"
	"time"
)

// Store keeps one sealed entry and a lock for it; cache.Entry is one. A store may fail in any way: then a login takes
// longer, and that is all.
type Store interface {
	Get() ([]byte, error)                                           // an error is a miss
	Put(data []byte, holds string, expires time.Time) error         // replaces the entry
	Lock(ctx context.Context, wait bool) (unlock func(), err error) // wait false: at once or not at all
}

// Kept is what a Store's Put is told that an entry with a token holds.
const Kept = "token"

const (
	// margin is what a fresh token has left at least: Python clients ask again five minutes before the end.
	margin = 10 * time.Minute

	// setBack is how far a clock may be set back without making a token one of the future.
	setBack = time.Minute

	// A token that works gets so long to be renewed: little while it is fresh, more when its end is near.
	renewFresh = 5 * time.Second
	renewStale = 15 * time.Second

	// rest is how long after a failed renewal nobody tries another, while the token has more than twice that left.
	rest = 30 * time.Second

	// defaultQueue is the longest wait for another process's result; never more than half of the time left, so that the other half remains for asking.
	defaultQueue = 20 * time.Second
)

// record is what a Store holds: the last token, and the last failure if it came later.
type record struct {
	Token   Token    `json:"token,omitzero"`
	Failure *failure `json:"failure,omitempty"`
}

// failure is an exchange that did not yield a token.
type failure struct {
	At      time.Time         `json:"at"`
	Route   string            `json:"route"`             // the way it took: it says nothing about other ways
	Refusal *Refusal          `json:"refusal,omitempty"` // nil: asking again may end otherwise
	Facts   map[string]string `json:"facts,omitempty"`
}

// reuser answers one request from a store, or sees to it that one process asks while the others wait.
type reuser struct {
	World
	store  *timely // nil: nothing is kept
	route  string
	asking func(context.Context) bool                          // see Login
	ask    func(_ context.Context, needed bool) (Token, error) // needed: no token works that could be served instead
	unsure func() bool                                         // see Login
	retell func(*failure) error                                // another process's refusal, in words for this request
}

// token answers with the stored token where that is fresh. Where it is not, one process asks while the others wait for its result, be it
// a token or Entra ID's final word. A token past its RefreshOn but otherwise fresh is renewed by one and served to the others
// meanwhile; a token that works still is served when renewing fails.
func (u *reuser) token(ctx context.Context) (Token, error) {
	if u.store == nil {
		return u.ask(ctx, true)
	}
	now := u.Now()
	began := now.Add(-u.Waited())
	have := u.load()
	fresh := have.Token.fresh(now)
	switch {
	case fresh && !have.Token.due(now):
		return u.serve(have.Token, "answered from the cache")
	case have.resting(now, u.route):
		return u.serve(have.Token, "the last renewal failed just now; the cached token is served")
	}
	patient := ctx
	if have.Token.works(now) {
		atMost := renewStale
		if fresh {
			atMost = renewFresh
			u.Yield()
		}
		var done context.CancelFunc
		patient, done = context.WithTimeout(ctx, atMost)
		defer done()
	}
	return u.renew(ctx, patient, have, began)
}

// renew takes this process's turn: it looks again for what came meanwhile, asks within patient, and stores what came of it.
func (u *reuser) renew(ctx, patient context.Context, have record, began time.Time) (Token, error) {
	unlock, err := u.lock(patient, !have.Token.fresh(u.Now()))
	defer unlock()
	if u.unsure != nil && u.unsure() { // who is signed in has changed since this run began: what others got is not for it
		return u.ask(patient, patient == ctx)
	}
	have = u.reload(have)
	now := u.Now()
	inTime := !errors.Is(err, context.DeadlineExceeded)
	switch {
	case have.newer(began, now), have.Token.fresh(now) && !have.Token.due(now):
		return u.serve(have.Token, "another process has just asked; its token is served")
	case have.resting(now, u.route):
		return u.serve(have.Token, "another process could not renew just now; the cached token is served")
	case err != nil && have.Token.fresh(now), !inTime && have.Token.lasts(2*rest, now):
		u.Log.Debug("the token is not renewed here", "reason", err)
		return u.serve(have.Token, "the cached token is served")
	case have.Failure.final(began, now, u.route):
		return u.orServe(have.Token, u.retell(have.Failure))
	case err != nil:
		u.Log.Debug("going on without a lock", "reason", err)
	}
	tok, err := u.ask(patient, patient == ctx)
	switch {
	case err == nil && u.unsure != nil && u.unsure():
		u.Log.Debug("who is signed in has changed meanwhile; the token is not kept")
		return tok, nil
	case err == nil:
		u.save(record{Token: tok})
		return tok, nil
	}
	have = u.reload(have) // whoever passed this process by may have stored a better token meanwhile
	if have.newer(began, u.Now()) {
		return u.serve(have.Token, "another process has a token by now; it is served")
	}
	if ctx.Err() == nil { // a run that is out of its own time says nothing about others'
		have.Failure = u.failed(err)
		u.save(have)
	}
	return u.orServe(have.Token, err)
}

// lock waits no longer than it leaves time to go on without, and not all processes wait equally long. Where a person is asked, all
// wait until he has answered. unlock is never nil.
func (u *reuser) lock(ctx context.Context, wait bool) (unlock func(), err error) {
	atMost := u.Queue
	deadline, bounded := ctx.Deadline()
	switch {
	case u.asking != nil && u.Prompt == nil && u.asking(ctx): // who cannot ask does not wait for those who do
		return u.store.lock(ctx, false, u.Queue)
	case bounded && u.asking != nil && u.Prompt != nil && wait:
		return u.waitFor(func() (func(), error) { return u.store.lock(ctx, true, max(time.Until(deadline), 0)) })
	case bounded:
		atMost = max(min(atMost, time.Until(deadline)/2), 0)
	}
	return u.store.lock(ctx, wait, atMost-rand.N(atMost/2+1))
}

func (u *reuser) serve(t Token, why string) (Token, error) {
	u.Log.Debug(why, "expires", t.Expires)
	return t, nil
}

// orServe serves a token that still works in an error's place.
func (u *reuser) orServe(t Token, err error) (Token, error) {
	if !t.works(u.Now()) {
		return Token{}, err
	}
	u.Log.Debug("renewing failed", "error", Explain(err).Text)
	return u.serve(t, "the cached token still works and is served")
}

// fresh tells whether the token has enough left to be handed out without trying to renew it first.
func (t Token) fresh(now time.Time) bool { return t.works(now) && now.Before(t.stale()) }

// stale is when the token is too near to its end to be handed out without trying to renew it first.
func (t Token) stale() time.Time { return t.Expires.Add(-min(margin, t.life()/5)) }

// due tells whether Entra ID wants the token renewed by now.
func (t Token) due(now time.Time) bool { return !t.RefreshOn.IsZero() && !now.Before(t.RefreshOn) }

// works tells whether the token is in its life. One that was obtained in the future is not: a clock has been set back, and what
// it says about the token's end is worth nothing.
func (t Token) works(now time.Time) bool {
	return t.Value != "" && now.Before(t.Expires) && !now.Before(t.Obtained.Add(-setBack))
}

// lasts tells whether the token works for longer than d.
func (t Token) lasts(d time.Duration, now time.Time) bool {
	return t.works(now) && t.Expires.Sub(now) > d
}

// newer tells whether the token came while this process waited or asked.
func (r record) newer(began, now time.Time) bool {
	return r.Token.works(now) && r.Token.Obtained.After(began)
}

// resting tells whether the token is good for a while and renewing it has just failed.
func (r record) resting(now time.Time, route string) bool {
	if r.Failure == nil || r.Failure.Route != route || !r.Token.lasts(2*rest, now) {
		return false
	}
	age := now.Sub(r.Failure.At)
	return age >= 0 && age < rest
}

// final tells whether the failure came while this process waited, on the way that it would have taken, and is Entra ID's last word.
func (f *failure) final(began, now time.Time, route string) bool {
	return f != nil && f.Refusal != nil && f.Route == route && f.At.After(began) && !f.At.After(now)
}

func (u *reuser) failed(err error) *failure {
	f := &failure{At: u.Now().UTC(), Route: u.route}
	var refusal *Refusal
	var tried *exchangeError
	if errors.As(err, &refusal) && refusal.final() && errors.As(err, &tried) {
		f.Refusal, f.Facts = refusal, tried.facts
	}
	return f
}

// final tells whether Entra ID would say the same to the same question a moment later. An assertion out of its time may be replaced by then.
func (r *Refusal) final() bool {
	return r.AADSTS != 0 && r.AADSTS != assertionOutOfTime && r.HTTPStatus >= 400 && !mayPass(r.HTTPStatus)
}

func (u *reuser) save(r record) {
	holds, expires := Kept, r.Token.Expires
	if r.Token.Value == "" {
		holds = "failure"
	}
	if r.Failure != nil && r.Failure.At.Add(rest).After(expires) {
		expires = r.Failure.At.Add(rest)
	}
	data, err := json.Marshal(r)
	if err == nil {
		err = u.store.put(data, holds, expires)
	}
	if err != nil {
		u.Log.Debug("could not write to the cache", "error", err)
	}
}

func (u *reuser) load() record {
	var r record
	data, err := u.store.get()
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		u.Log.Debug("nothing in the cache", "reason", err)
		return record{}
	}
	if !isBearer(r.Token.Value) { // never another's, as the entry is sealed; but it is printed
		r.Token = Token{}
	}
	return r
}

// reload returns what the store has by now, unless that is no token and the one at hand still works.
func (u *reuser) reload(have record) record {
	again, now := u.load(), u.Now()
	if !again.Token.works(now) && have.Token.works(now) {
		return have
	}
	return again
}

// route stands for everything beside the inputs of an entry that decides how a request ends. Proxies may hold passwords: it is a hash.
func route(r Request, w World) string {
	h := sha256.New()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		h.Write([]byte(name + "=" + w.Getenv(name) + "\n"))
	}
	h.Write([]byte(strconv.FormatBool(r.DisableInstanceDiscovery)))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// retold is another process's refusal as the answer to this request: what the federated token says is what the other one saw, where each
// value came from is this one's.
func retold(f *failure, r Request, w World, login Login, wr wire) error {
	all := maps.Clone(f.Facts)
	maps.Copy(all, facts(r, w, login, wr))
	all["asked"] = f.Facts["asked"]
	return &exchangeError{r, all, r.secrets(w.Getenv), f.Refusal}
}
