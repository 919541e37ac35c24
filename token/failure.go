package token

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

const (
	// refreshBackoff is how long to wait after a failed refresh before trying again, as long as the
	// token outlives twice that.
	refreshBackoff = 30 * time.Second

	// transientFailureAge is how long a temporary failure counts as the result for processes that
	// were waiting when it arrived.
	transientFailureAge = 5 * time.Second

	// maxThrottle is the longest time for which the processes that share an entry send no request
	// because the server asked for that. One wrong response thus cannot stop all logins for a day.
	maxThrottle = time.Hour
)

// failure is an exchange that did not yield a token. It has a Refusal or a Cause if it says
// something about other processes' requests too.
type failure struct {
	At         time.Time         `json:"at"`
	RouteHash  string            `json:"route"` // see routeHash
	Refusal    *Refusal          `json:"refusal,omitempty"`
	Cause      string            `json:"cause,omitempty"` // of a request without a valid response
	Hint       string            `json:"hint,omitempty"`  // for Cause, with placeholders
	HintValues map[string]string `json:"facts,omitempty"`

	// NotBefore is the time before which the server wants no request; zero if it named none. If
	// Unfinished is true, the process waits for that time to retry, or does not have enough time to
	// wait: then the failure is not a result for others.
	NotBefore  time.Time `json:"not_before,omitzero"`
	Unfinished bool      `json:"unfinished,omitempty"`
}

// newFailure returns the failure for an error of s.exchange(ctx).
func (s *reuseTokenSource) newFailure(ctx context.Context, err error) *failure {
	f := &failure{At: s.Now().UTC(), RouteHash: s.routeHash}
	var refusal *Refusal
	var exchange *exchangeError
	if !errors.As(err, &exchange) || errors.As(err, new(*firstHopError)) {
		return f
	}
	switch {
	case errors.As(err, &refusal):
		if refusal.AADSTS == entra.CodeAssertionExpired {
			return f // another process may have a newer federated token
		}
		f.Refusal = refusal
		if refusal.Throttles() {
			f.NotBefore = f.At.Add(min(refusal.RetryAfter, maxThrottle))
			deadline, bounded := ctx.Deadline()
			f.Unfinished = bounded && time.Until(deadline) <= refusal.RetryAfter
		}
	case errors.Is(err, s.lastOutcome.Err):
		// No timeout: that of the other process may differ.
		f.Cause = redact.Excerpt(causeText(exchange.err, Request{}))
		f.Hint = exchange.hint()
	default: // the reason is this process's own, such as a program that it cannot start
		return f
	}
	f.HintValues = exchange.hintValues
	return f
}

// shareThrottle stores err, a refusal that asks for a delay, so that other processes respect it too
// while this one waits.
func (s *reuseTokenSource) shareThrottle(err error) {
	if s.store == nil {
		return
	}
	cached := s.load()
	cached.Failure = s.newFailure(context.Background(), err)
	cached.Failure.Unfinished = true
	s.save(cached)
}

// throttledError says that the server wants no request for a while. The error in it is for a
// process that cannot wait.
type throttledError struct {
	error
	wait time.Duration
}

// throttled returns the result for a cached failure that throttles: a valid token, a throttledError
// if ctx leaves the time to wait, or else the failure.
func (s *reuseTokenSource) throttled(ctx context.Context, cached cacheRecord) (Token, error) {
	now := s.Now()
	if cached.Token.valid(now) {
		return s.serve(cached.Token, "the server asked for a pause; the cached token is served")
	}
	err := s.replay(cached.Failure)
	wait := cached.Failure.NotBefore.Sub(now)
	if deadline, bounded := ctx.Deadline(); bounded && time.Until(deadline) <= wait {
		return Token{}, err
	}
	return Token{}, &throttledError{err, wait}
}

// inBackoff reports whether a refresh by the same route has just failed, and the token is valid for
// long enough to wait.
func (r cacheRecord) inBackoff(now time.Time, routeHash string) bool {
	if r.Failure == nil || r.Failure.RouteHash != routeHash ||
		!r.Token.validFor(2*refreshBackoff, now) {
		return false
	}
	age := now.Sub(r.Failure.At)
	return age >= 0 && age < refreshBackoff
}

// answers reports whether the failure is the result for a process that has been waiting since
// start: it arrived after that, by the same route, and is permanent or recent. f may be nil.
func (f *failure) answers(start, now time.Time, routeHash string) bool {
	if f == nil || f.RouteHash != routeHash || f.cause() == nil || f.Unfinished ||
		!f.At.After(start) || f.At.After(now) {
		return false
	}
	permanent := f.Refusal != nil && f.Refusal.IsPermanent()
	return permanent || now.Sub(f.At) < transientFailureAge
}

// throttles reports whether the server wants no request by this route yet. f may be nil.
func (f *failure) throttles(now time.Time, routeHash string) bool {
	return f != nil && f.RouteHash == routeHash && f.cause() != nil &&
		!f.At.After(now) && now.Before(f.NotBefore)
}

// expires returns the time from which the failure is of no use to other processes.
func (f *failure) expires() time.Time {
	backoffEnds := f.At.Add(refreshBackoff)
	if f.NotBefore.After(backoffEnds) {
		return f.NotBefore
	}
	return backoffEnds
}

// cause returns why the exchange failed, nil if that is of no interest to other processes.
func (f *failure) cause() error {
	switch {
	case f.Refusal != nil:
		return f.Refusal
	case f.Cause != "":
		return &sharedError{f.Cause, f.Hint}
	}
	return nil
}

// sharedError is the cause of another process's failure that is not a refusal.
type sharedError struct{ text, hint string }

func (e *sharedError) Error() string { return e.text }

// replayFailure returns another process's failure as an error for this request. Hints show the
// other process's federated token and server, and the sources of this process's values.
func replayFailure(
	f *failure,
	r Request,
	opts Options,
	login Login,
	client entra.Client,
) error {
	err := f.cause()
	if f.Refusal != nil {
		refusal := *f.Refusal
		refusal.RetryAfter = max(f.NotBefore.Sub(opts.Now()).Round(time.Second), 0)
		err = &refusal
	}
	e := newExchangeError(r, opts, login, client, err)
	for placeholder, value := range f.HintValues {
		if _, own := e.hintValues[placeholder]; !own {
			e.hintValues[placeholder] = value
		}
	}
	e.hintValues["server"] = f.HintValues["server"]
	return e
}

// routeVariables decide by which route Entra ID is reached, and whose certificates are trusted.
var routeVariables = []string{
	"HTTPS_PROXY",
	"https_proxy",
	"NO_PROXY",
	"no_proxy",
	"SSL_CERT_FILE",
	"SSL_CERT_DIR",
}

// routeHash returns a hash of everything besides Login.Inputs that decides how an exchange ends. A
// failure by one route says nothing about other routes. It is a hash because a proxy's address may
// hold a password.
func routeHash(r Request, opts Options) string {
	h := sha256.New()
	for _, name := range routeVariables {
		h.Write([]byte(name + "=" + opts.Getenv(name) + "\n"))
	}
	h.Write([]byte(strconv.FormatBool(r.trustsAuthority())))
	return hex.EncodeToString(h.Sum(nil)[:8])
}
