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

	"github.com/akslogin/akslogin/token/internal/entra"
)

const (

	// A token that works gets so long to be renewed: little while it is fresh, more when its end is
	// near.
	earlyRefreshTimeout = 5 * time.Second
	lateRefreshTimeout  = 15 * time.Second

	// refreshBackoff is how long after a failed renewal nobody tries another, while the token has
	// more than twice that left.
	refreshBackoff = 30 * time.Second
)

// cacheRecord is what a Store holds: the last token, and the last failure if it came later.
type cacheRecord struct {
	Token   Token    `json:"token,omitzero"`
	Failure *failure `json:"failure,omitempty"`
}

// failure is an exchange that did not yield a token.
type failure struct {
	At         time.Time         `json:"at"`
	RouteHash  string            `json:"route"`             // the way it took: it says nothing about other ways
	Refusal    *entra.Refusal    `json:"refusal,omitempty"` // nil: asking again may end otherwise
	HintValues map[string]string `json:"facts,omitempty"`
}

// reuseTokenSource answers one request from a store, or sees to it that one process asks while the
// others wait.
type reuseTokenSource struct {
	Options
	store            *timeoutStore // nil: nothing is kept
	routeHash        string
	promptInProgress func(context.Context) bool                          // see Login
	exchange         func(_ context.Context, needed bool) (Token, error) // needed: no token works that could be served instead
	inputsChanged    func() bool                                         // see Login
	replayRefusal    func(*failure) error                                // another process's refusal, in words for this request
}

// token answers with the stored token where that is fresh. Where it is not, one process asks while
// the others wait for its result, be it a token or Entra ID's final word. A token past its
// RefreshOn but otherwise fresh is renewed by one and served to the others meanwhile; a token that
// works still is served when renewing fails.
func (u *reuseTokenSource) token(ctx context.Context) (Token, error) {
	if u.store == nil {
		return u.exchange(ctx, true)
	}
	now := u.Now()
	began := now.Add(-u.AlreadyWaited())
	have := u.load()
	fresh := have.Token.fresh(now)
	switch {
	case fresh && !have.Token.needsRefresh(now):
		return u.serve(have.Token, "answered from the cache")
	case have.inBackoff(now, u.routeHash):
		return u.serve(have.Token, "the last renewal failed just now; the cached token is served")
	}
	patient := ctx
	if have.Token.valid(now) {
		atMost := lateRefreshTimeout
		if fresh {
			atMost = earlyRefreshTimeout
			u.BeforeEarlyRefresh()
		}
		var done context.CancelFunc
		patient, done = context.WithTimeout(ctx, atMost)
		defer done()
	}
	return u.refresh(ctx, patient, have, began)
}

// refresh takes this process's turn: it looks again for what came meanwhile, asks within patient,
// and stores what came of it.
func (u *reuseTokenSource) refresh(
	ctx, patient context.Context,
	have cacheRecord,
	began time.Time,
) (Token, error) {
	unlock, err := u.lock(patient, !have.Token.fresh(u.Now()))
	defer unlock()
	if u.inputsChanged != nil &&
		u.inputsChanged() { // who is signed in has changed since this run began: what others got is not for it
		return u.exchange(patient, patient == ctx)
	}
	have = u.reload(have)
	now := u.Now()
	inTime := !errors.Is(err, context.DeadlineExceeded)
	switch {
	case have.arrivedSince(began, now), have.Token.fresh(now) && !have.Token.needsRefresh(now):
		return u.serve(have.Token, "another process has just asked; its token is served")
	case have.inBackoff(now, u.routeHash):
		return u.serve(
			have.Token,
			"another process could not renew just now; the cached token is served",
		)
	case err != nil && have.Token.fresh(now), !inTime && have.Token.validFor(2*refreshBackoff, now):
		u.Log.Debug("the token is not renewed here", "reason", err)
		return u.serve(have.Token, "the cached token is served")
	case have.Failure.isFinalFor(began, now, u.routeHash):
		return u.serveStaleOr(have.Token, u.replayRefusal(have.Failure))
	case err != nil:
		u.Log.Debug("going on without a lock", "reason", err)
	}
	tok, err := u.exchange(patient, patient == ctx)
	switch {
	case err == nil && u.inputsChanged != nil && u.inputsChanged():
		u.Log.Debug("who is signed in has changed meanwhile; the token is not kept")
		return tok, nil
	case err == nil:
		u.save(cacheRecord{Token: tok})
		return tok, nil
	}
	have = u.reload(have) // whoever passed this process by may have stored a better token meanwhile
	if have.arrivedSince(began, u.Now()) {
		return u.serve(have.Token, "another process has a token by now; it is served")
	}
	if ctx.Err() == nil { // a run that is out of its own time says nothing about others'
		have.Failure = u.newFailure(err)
		u.save(have)
	}
	return u.serveStaleOr(have.Token, err)
}

// lock waits no longer than it leaves time to go on without, and not all processes wait equally
// long. Where a person is asked, all wait until he has answered. unlock is never nil.
func (u *reuseTokenSource) lock(ctx context.Context, wait bool) (unlock func(), err error) {
	atMost := u.MaxLockWait
	deadline, bounded := ctx.Deadline()
	switch {
	case u.promptInProgress != nil && u.Prompt == nil && u.promptInProgress(ctx): // who cannot ask does not wait for those who do
		return u.store.lock(ctx, false, u.MaxLockWait)
	case bounded && u.promptInProgress != nil && u.Prompt != nil && wait:
		return u.lockWithNotice(
			func() (func(), error) { return u.store.lock(ctx, true, max(time.Until(deadline), 0)) },
		)
	case bounded:
		atMost = max(min(atMost, time.Until(deadline)/2), 0)
	}
	return u.store.lock(ctx, wait, atMost-rand.N(atMost/2+1))
}

func (u *reuseTokenSource) serve(t Token, why string) (Token, error) {
	u.Log.Debug(why, "expires", t.Expires)
	return t, nil
}

// serveStaleOr serves a token that still works in an error's place.
func (u *reuseTokenSource) serveStaleOr(t Token, err error) (Token, error) {
	if !t.valid(u.Now()) {
		return Token{}, err
	}
	u.Log.Debug("renewing failed", "error", Explain(err).Text)
	return u.serve(t, "the cached token still works and is served")
}

// arrivedSince tells whether the token came while this process waited or asked.
func (r cacheRecord) arrivedSince(began, now time.Time) bool {
	return r.Token.valid(now) && r.Token.Obtained.After(began)
}

// inBackoff tells whether the token is good for a while and renewing it has just failed.
func (r cacheRecord) inBackoff(now time.Time, route string) bool {
	if r.Failure == nil || r.Failure.RouteHash != route ||
		!r.Token.validFor(2*refreshBackoff, now) {
		return false
	}
	age := now.Sub(r.Failure.At)
	return age >= 0 && age < refreshBackoff
}

// isFinalFor tells whether the failure came while this process waited, on the way that it would
// have taken, and is Entra ID's last word.
func (f *failure) isFinalFor(began, now time.Time, route string) bool {
	return f != nil && f.Refusal != nil && f.RouteHash == route && f.At.After(began) &&
		!f.At.After(now)
}

func (u *reuseTokenSource) newFailure(err error) *failure {
	f := &failure{At: u.Now().UTC(), RouteHash: u.routeHash}
	var refusal *entra.Refusal
	var tried *exchangeError
	if errors.As(err, &refusal) && refusal.IsPermanent() && errors.As(err, &tried) {
		f.Refusal, f.HintValues = refusal, tried.hintValues
	}
	return f
}

func (u *reuseTokenSource) save(r cacheRecord) {
	holds, expires := HoldsToken, r.Token.Expires
	if r.Token.Value == "" {
		holds = "failure"
	}
	if r.Failure != nil && r.Failure.At.Add(refreshBackoff).After(expires) {
		expires = r.Failure.At.Add(refreshBackoff)
	}
	data, err := json.Marshal(r)
	if err == nil {
		err = u.store.put(data, holds, expires)
	}
	if err != nil {
		u.Log.Debug("could not write to the cache", "error", err)
	}
}

func (u *reuseTokenSource) load() cacheRecord {
	var r cacheRecord
	data, err := u.store.get()
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		u.Log.Debug("nothing in the cache", "reason", err)
		return cacheRecord{}
	}
	if !entra.IsBearerToken(
		r.Token.Value,
	) { // never another's, as the entry is sealed; but it is printed
		r.Token = Token{}
	}
	return r
}

// reload returns what the store has by now, unless that is no token and the one at hand still
// works.
func (u *reuseTokenSource) reload(have cacheRecord) cacheRecord {
	again, now := u.load(), u.Now()
	if !again.Token.valid(now) && have.Token.valid(now) {
		return have
	}
	return again
}

// routeHash stands for everything beside the inputs of an entry that decides how a request ends.
// Proxies may hold passwords: it is a hash.
func routeHash(r Request, w Options) string {
	h := sha256.New()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		h.Write([]byte(name + "=" + w.Getenv(name) + "\n"))
	}
	h.Write([]byte(strconv.FormatBool(r.DisableInstanceDiscovery)))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// replayRefusal is another process's refusal as the answer to this request: what the federated
// token says is what the other one saw, where each value came from is this one's.
func replayRefusal(f *failure, r Request, w Options, login Login, wr entra.Client) error {
	all := maps.Clone(f.HintValues)
	maps.Copy(all, hintValues(r, w, login, wr))
	all["asked"] = f.HintValues["asked"]
	return &exchangeError{r, all, r.secrets(w.Getenv), f.Refusal}
}
