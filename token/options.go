package token

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"
)

// Options is what a login needs of its surroundings. The zero value is usable: it keeps nothing and
// says nothing.
type Options struct {
	Getenv             func(string) string                        // nil: os.Getenv. An empty variable counts as unset
	Now                func() time.Time                           // nil: time.Now
	Log                *slog.Logger                               // nil: silence. Never gets a secret
	Store              func(secret []byte, inputs []string) Store // nil: nothing is kept. May return nil for the same
	RetryDelay         time.Duration                              // first pause before a request is tried again; 0: 250 ms
	MaxLockWait        time.Duration                              // longest wait for another process's result; 0: 20 s
	AlreadyWaited      func() time.Duration                       // how long ago this process began to wait for another's result; nil: it did not. What came since is for this one too
	BeforeEarlyRefresh func()                                     // called before a token that works and is fresh is renewed: nobody need wait for this run. nil: nothing
	UserKey            func() ([]byte, error)                     // this user's own key, which seals for methods that present no secret; nil: such methods keep nothing
	Prompt             io.Writer                                  // where a person is told how to sign in; nil: nobody is there who could
}

func (w Options) withDefaults() Options {
	if w.Getenv == nil {
		w.Getenv = os.Getenv
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	if w.RetryDelay == 0 {
		w.RetryDelay = defaultRetryDelay
	}
	if w.MaxLockWait == 0 {
		w.MaxLockWait = defaultMaxLockWait
	}
	if w.AlreadyWaited == nil {
		w.AlreadyWaited = func() time.Duration { return 0 }
	}
	if w.BeforeEarlyRefresh == nil {
		w.BeforeEarlyRefresh = func() {}
	}
	return w
}

const defaultRetryDelay = 250 * time.Millisecond

// Store keeps one sealed entry and a lock for it; cache.Entry is one. A store may fail in any way:
// then a login takes longer, and that is all.
type Store interface {
	Get() ([]byte, error)                                   // an error is a miss
	Put(data []byte, holds string, expires time.Time) error // replaces the entry
	Lock(
		ctx context.Context,
		wait bool,
	) (unlock func(), err error) // wait false: at once or not at all
}

// HoldsToken is what a Store's Put is told that an entry with a token holds.
const HoldsToken = "token"

// defaultMaxLockWait is the longest wait for another process's result; never more than half of the
// time left, so that the other half remains for asking.
const defaultMaxLockWait = 20 * time.Second

// HoldsSignIn is what a Store's Put is told that an entry with a person's sign-in holds: a refresh
// token.
const HoldsSignIn = "sign-in"
