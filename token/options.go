package token

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"
)

// Options are what [Get], [Post] and [Diagnose] need from the calling program. The zero value
// works: it caches nothing and logs nothing.
type Options struct {
	// Getenv reads an environment variable; nil means os.Getenv. An empty variable counts as unset.
	Getenv func(string) string

	// Now returns the current time; nil means time.Now.
	Now func() time.Time

	// Log gets debug messages without secrets. It may be nil.
	Log *slog.Logger

	// Store returns the store that belongs to a secret and inputs. It may be nil and may return
	// nil; then nothing is cached.
	Store func(secret []byte, inputs []string) Store

	// RetryDelay is the pause before the first retry; 0 means 250 ms.
	RetryDelay time.Duration

	// MaxLockWait is the longest wait for another process's result; 0 means 20 s. It is also
	// limited to half of the time that is left, so that this process can still ask by itself.
	MaxLockWait time.Duration

	// AlreadyWaited returns for how long this process has been waiting for another one's result
	// before the call. Results newer than that also apply to this run. It may be nil.
	AlreadyWaited func() time.Duration

	// BeforeEarlyRefresh is called before a token is refreshed that is still fresh. From then on
	// nobody needs to wait for this process. It may be nil.
	BeforeEarlyRefresh func()

	// UserKey returns a key of the current user. It seals tokens of methods that have no secret. If
	// it is nil, such methods cache nothing.
	UserKey func() ([]byte, error)

	// ToolStarted is called when a login has started a tool such as az, with a function that kills
	// the tool and all programs that it started. The result is called when the tool has ended. The
	// end of a context kills them too, so this is for programs that a signal ends. It may be nil.
	ToolStarted func(kill func()) (ended func())

	// Program is the name of the command line program, for hints that tell a person to run it; ""
	// means akslogin.
	Program string

	// SignInArgs are arguments that the program needs besides flags of the request for a sign-in to
	// be stored where Store is.
	SignInArgs []string

	// Prompt is where a person is told how to sign in. It is nil if nobody can be asked.
	Prompt io.Writer
}

const (
	defaultRetryDelay  = 250 * time.Millisecond
	defaultMaxLockWait = 20 * time.Second
)

func (opts Options) withDefaults() Options {
	if opts.Getenv == nil {
		opts.Getenv = os.Getenv
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.RetryDelay == 0 {
		opts.RetryDelay = defaultRetryDelay
	}
	if opts.MaxLockWait == 0 {
		opts.MaxLockWait = defaultMaxLockWait
	}
	if opts.AlreadyWaited == nil {
		opts.AlreadyWaited = func() time.Duration { return 0 }
	}
	if opts.BeforeEarlyRefresh == nil {
		opts.BeforeEarlyRefresh = func() {}
	}
	if opts.ToolStarted == nil {
		opts.ToolStarted = func(func()) func() { return func() {} }
	}
	return opts
}

// Store holds one sealed entry and a lock for it, as cache.Entry does. Any method may fail: a login
// then takes longer, but still works.
//
// [Get] calls one method after the other, from goroutines of its own. It gives up waiting for a
// method after three seconds. For Lock it also waits as long as Options.MaxLockWait allows, or
// until its ctx ends while a person may be signing in. The call then goes on in the background, and
// no other follows but unlock.
//
// One call of Get may call the function Options.Store more than once for an entry. The function
// must be safe for concurrent use if goroutines call Get at the same time.
type Store interface {
	// Get returns the entry. Any error is a cache miss.
	Get() ([]byte, error)

	// Put replaces the entry. holds is HoldsToken, HoldsSignIn or another word for what data is.
	// The entry is of no use after expires.
	Put(data []byte, holds string, expires time.Time) error

	// Lock takes the entry's lock. It waits until ctx ends if wait is true, and else not at all.
	Lock(ctx context.Context, wait bool) (unlock func(), err error)
}

// Values of holds in [Store].Put.
const (
	HoldsToken  = "token"   // an access token
	HoldsSignIn = "sign-in" // a person's sign-in: a refresh token
)
