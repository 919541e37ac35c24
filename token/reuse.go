package token

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
)

const (
	// A refresh of a token that is still valid gets a short timeout: shorter while the token is
	// fresh, longer when it is about to expire.
	earlyRefreshTimeout = 5 * time.Second
	lateRefreshTimeout  = 15 * time.Second
)

// cacheRecord is what a Store holds: the last token, and the last failure if it came later.
type cacheRecord struct {
	Token   Token    `json:"token,omitzero"`
	Failure *failure `json:"failure,omitempty"`
}

// reuseTokenSource answers one request from a store. At a cache miss or for a refresh, one process
// makes the exchange and the others wait for its result (single flight).
type reuseTokenSource struct {
	Options
	store            *timeoutStore // nil: nothing is stored
	routeHash        string
	promptInProgress func(context.Context) bool // see Login

	// exchange requests a new token. It may prompt a person only if mayPrompt is true: there is no
	// valid token that could be served instead.
	exchange func(_ context.Context, mayPrompt bool) (Token, error)

	inputsChanged func() bool // see Login

	lastOutcome *entra.Outcome // how the last request of exchange ended

	// replay returns another process's failure as an error for this request.
	replay func(*failure) error
}

// token returns the stored token if it is fresh. Otherwise one process makes an exchange, and the
// others wait for its result: a token or a failure. While the server wants no request, no process
// makes an exchange. A process waits if ctx leaves enough time, and otherwise fails with the
// server's refusal.
//
// A fresh token that needs a refresh is refreshed by one process and meanwhile served to the
// others. If a refresh fails, a token that is still valid is served.
func (s *reuseTokenSource) token(ctx context.Context) (Token, error) {
	if s.store == nil {
		return s.exchange(ctx, true)
	}
	start := s.Now().Add(-s.AlreadyWaited())
	for {
		tok, err := s.tokenUnlessThrottled(ctx, start)
		var throttled *throttledError
		if !errors.As(err, &throttled) {
			return tok, err
		}
		s.Log.Debug("waiting, as the server asked", "time", throttled.wait)
		select {
		case <-time.After(throttled.wait):
		case <-ctx.Done():
			return Token{}, throttled.error
		}
	}
}

// tokenUnlessThrottled is token, except that it returns a throttledError instead of waiting until
// the server wants requests again.
func (s *reuseTokenSource) tokenUnlessThrottled(
	ctx context.Context,
	start time.Time,
) (Token, error) {
	now := s.Now()
	cached := s.load()
	fresh := cached.Token.fresh(now)
	switch {
	case fresh && !cached.Token.needsRefresh(now):
		return s.serve(cached.Token, "answered from the cache")
	case cached.inBackoff(now, s.routeHash):
		return s.serve(cached.Token, "a refresh failed moments ago; the cached token is used")
	case cached.Failure.throttles(now, s.routeHash) &&
		!cached.Failure.answers(start, now, s.routeHash):
		return s.throttled(ctx, cached)
	}
	refreshCtx := ctx
	if cached.Token.valid(now) {
		timeout := lateRefreshTimeout
		if fresh {
			timeout = earlyRefreshTimeout
			s.BeforeEarlyRefresh()
		}
		var cancel context.CancelFunc
		refreshCtx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return s.refresh(ctx, refreshCtx, cached, start)
}

// refresh takes the lock, uses what another process has stored since start, or else makes an
// exchange and stores its result. refreshCtx is ctx with a shorter timeout if cached has a valid
// token, else ctx itself.
func (s *reuseTokenSource) refresh(
	ctx, refreshCtx context.Context,
	cached cacheRecord,
	start time.Time,
) (Token, error) {
	mayPrompt := refreshCtx == ctx
	unlock, lockErr := s.lock(refreshCtx, !cached.Token.fresh(s.Now()))
	defer unlock()
	if s.inputsChanged != nil && s.inputsChanged() {
		// Another account is signed in since this run began: the store's results are not for it.
		return s.exchange(refreshCtx, mayPrompt)
	}
	cached = s.reload(cached)
	now := s.Now()
	timedOut := errors.Is(lockErr, context.DeadlineExceeded)
	switch {
	case cached.arrivedSince(start, now),
		cached.Token.fresh(now) && !cached.Token.needsRefresh(now):
		return s.serve(cached.Token, "another process has just requested a token; that token is used")
	case cached.inBackoff(now, s.routeHash):
		const reason = "another process failed to refresh the token moments ago; the cached token is used"
		return s.serve(cached.Token, reason)
	case lockErr != nil && cached.Token.fresh(now),
		timedOut && cached.Token.validFor(2*refreshBackoff, now):
		s.Log.Debug("the token is not renewed here", "reason", lockErr)
		return s.serve(cached.Token, "the cached token is served")
	case cached.Failure.answers(start, now, s.routeHash):
		return s.serveStaleOr(cached.Token, s.replay(cached.Failure))
	case cached.Failure.throttles(now, s.routeHash):
		return s.throttled(ctx, cached)
	case lockErr != nil:
		s.Log.Debug("going on without a lock", "reason", lockErr)
	}
	tok, err := s.exchange(refreshCtx, mayPrompt)
	switch {
	case err == nil && s.inputsChanged != nil && s.inputsChanged():
		s.Log.Debug("another account has signed in meanwhile; the token is not stored")
		return tok, nil
	case err == nil:
		s.saveToken(tok)
		return tok, nil
	}
	// Without the lock, another process may have stored a newer token in the meantime.
	cached = s.reload(cached)
	if cached.arrivedSince(start, s.Now()) {
		return s.serve(cached.Token, "another process has a token by now; it is served")
	}
	if ctx.Err() == nil { // our own timeout must not be recorded as a failure for other processes
		f := s.newFailure(refreshCtx, err)
		if f.NotBefore.IsZero() && cached.Failure.throttles(s.Now(), s.routeHash) {
			f.NotBefore = cached.Failure.NotBefore // of an earlier try, such as one at a CI system
		}
		cached.Failure = f
		s.save(cached)
	}
	return s.serveStaleOr(cached.Token, err)
}

// lock takes the store's lock. It leaves at least half of the time until ctx ends, to go on without
// the lock, and the wait is randomized so that processes do not give up together. While a person
// signs in, all processes that can prompt wait for that. unlock is never nil.
func (s *reuseTokenSource) lock(ctx context.Context, wait bool) (unlock func(), err error) {
	maxWait := s.MaxLockWait
	deadline, bounded := ctx.Deadline()
	interactive := s.promptInProgress != nil
	switch {
	case interactive && s.Prompt == nil && s.promptInProgress(ctx):
		// A process that cannot prompt does not wait for those that do.
		return s.store.lock(ctx, false, s.MaxLockWait)
	case interactive && s.Prompt != nil && bounded && wait:
		return s.lockWithNotice(func() (func(), error) {
			return s.store.lock(ctx, true, max(time.Until(deadline), 0))
		})
	case bounded:
		maxWait = max(min(maxWait, time.Until(deadline)/2), 0)
	}
	return s.store.lock(ctx, wait, maxWait-rand.N(maxWait/2+1))
}

// serve returns t and logs why.
func (s *reuseTokenSource) serve(t Token, reason string) (Token, error) {
	s.Log.Debug(reason, "expires", t.Expires)
	return t, nil
}

// serveStaleOr returns t if it is still valid, else err.
func (s *reuseTokenSource) serveStaleOr(t Token, err error) (Token, error) {
	if !t.valid(s.Now()) {
		return Token{}, err
	}
	s.Log.Debug("renewing failed", "error", Explain(err).Text)
	return s.serve(t, "the cached token still works and is served")
}

// arrivedSince reports whether the token is valid and was obtained after start.
func (r cacheRecord) arrivedSince(start, now time.Time) bool {
	return r.Token.valid(now) && r.Token.Obtained.After(start)
}

// saveToken stores t, unless another process has stored a newer token meanwhile: a lock holder that
// was stopped comes late, and so does a process that went on without the lock.
func (s *reuseTokenSource) saveToken(t Token) {
	current := s.load().Token
	if current.fresh(s.Now()) && current.Obtained.After(t.Obtained) {
		s.Log.Debug("a newer token is in the cache already; this one is not stored")
		return
	}
	s.save(cacheRecord{Token: t})
}

// save stores r. An error is only logged: cache problems never make a login fail.
func (s *reuseTokenSource) save(r cacheRecord) {
	holds, expires := HoldsToken, r.Token.Expires
	if r.Token.Value == "" {
		holds = "failure"
	}
	if r.Failure != nil && r.Failure.expires().After(expires) {
		expires = r.Failure.expires()
	}
	data, err := json.Marshal(r)
	if err == nil {
		err = s.store.put(data, holds, expires)
	}
	if err != nil {
		s.Log.Debug("could not write to the cache", "error", err)
	}
}

// load returns what the store holds, or the zero value at a cache miss.
func (s *reuseTokenSource) load() cacheRecord {
	var r cacheRecord
	data, err := s.store.get()
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		s.Log.Debug("nothing in the cache", "reason", err)
		return cacheRecord{}
	}
	if !entra.IsBearerToken(r.Token.Value) {
		// The entry is sealed and thus our own, but the value goes to stdout.
		r.Token = Token{}
	}
	return r
}

// reload returns what the store holds now. It keeps cached if only that has a valid token.
func (s *reuseTokenSource) reload(cached cacheRecord) cacheRecord {
	current, now := s.load(), s.Now()
	if !current.Token.valid(now) && cached.Token.valid(now) {
		return cached
	}
	return current
}
