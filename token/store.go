package token

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storeTimeout is the longest that a store may take for reading or writing: a network's file system
// may never answer.
const storeTimeout = 3 * time.Second

var errStoreTimeout = errors.New("the cache's disk does not answer")

// timeoutStore is a store that is waited for no longer than storeTimeout, and once it was too slow
// not at all: then every call returns errStoreTimeout. It is for one goroutine.
type timeoutStore struct {
	store    Store
	timedOut bool
}

func (s *timeoutStore) get() ([]byte, error) {
	return callWithTimeout(s, storeTimeout, s.store.Get, nil)
}

func (s *timeoutStore) put(data []byte, holds string, expires time.Time) error {
	_, err := callWithTimeout(
		s,
		storeTimeout,
		func() (struct{}, error) { return struct{}{}, s.store.Put(data, holds, expires) },
		nil,
	)
	return err
}

// lock waits for the lock as long as ctx lasts, which atMost bounds. unlock is never nil.
func (s *timeoutStore) lock(
	ctx context.Context,
	wait bool,
	atMost time.Duration,
) (unlock func(), err error) {
	ctx, done := context.WithTimeout(ctx, atMost)
	defer done()
	give, err := callWithTimeout(
		s,
		atMost+storeTimeout,
		func() (func(), error) { return s.store.Lock(ctx, wait) },
		func(give func()) {
			if give != nil {
				give()
			}
		},
	)
	if err != nil {
		return func() {}, err
	}
	return func() {
		if s.timedOut { // others must not wait for a process that goes on without the store
			go give()
			return
		}
		_, _ = callWithTimeout(
			s,
			storeTimeout,
			func() (struct{}, error) { give(); return struct{}{}, nil },
			nil,
		)
	}, nil
}

// callWithTimeout runs f, which uses the store, and waits no longer than d for it; late, if not
// nil, gets what f still returns after that.
func callWithTimeout[T any](
	s *timeoutStore,
	d time.Duration,
	f func() (T, error),
	late func(T),
) (T, error) {
	type outcome struct {
		result T
		err    error
	}
	var none T
	if s.timedOut {
		return none, errStoreTimeout
	}
	ended := make(chan outcome, 1)
	go func() {
		result, err := f()
		ended <- outcome{result, err}
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case o := <-ended:
		return o.result, o.err
	case <-timer.C:
	}
	s.timedOut = true
	if late != nil {
		go func() { late((<-ended).result) }()
	}
	return none, errStoreTimeout
}

// openStore is the store for what belongs to secret and inputs; nil: nothing is kept. Without a
// secret nothing could be sealed.
func (w Options) openStore(secret []byte, inputs []string) *timeoutStore {
	if w.Store == nil || len(secret) == 0 {
		return nil
	}
	if store := w.Store(secret, inputs); store != nil {
		return &timeoutStore{store: store}
	}
	return nil
}

// loadUserKey is this user's own key; nil where there is none, and then a word in the log: what it
// would seal is not kept.
func (w Options) loadUserKey() []byte {
	if w.UserKey == nil {
		return nil
	}
	key, err := w.UserKey()
	if err != nil {
		w.Log.Debug("nothing is kept: there is no key to seal it with", "reason", err)
		return nil
	}
	return key
}

// waitNoticeDelay is how long a person is left without a word while another process is waited for.
const waitNoticeDelay = time.Second

// lockWithNotice tells a person that something takes time because of others.
func (w Options) lockWithNotice(lock func() (func(), error)) (unlock func(), err error) {
	told := time.AfterFunc(waitNoticeDelay, func() {
		fmt.Fprintln(
			w.Prompt,
			"waiting for another process, which may be asking somebody to sign in",
		)
	})
	defer told.Stop()
	return lock()
}
