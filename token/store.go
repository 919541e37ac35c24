package token

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storeTimeout bounds one read or write of a store: a network file system may hang.
const storeTimeout = 3 * time.Second

var errStoreTimeout = errors.New("the cache's disk does not answer")

// timeoutStore is a Store whose calls return in bounded time. After one timeout every call returns
// errStoreTimeout at once. It is for one goroutine.
type timeoutStore struct {
	store    Store
	timedOut bool
}

func (s *timeoutStore) get() ([]byte, error) {
	return callWithTimeout(s, storeTimeout, s.store.Get, nil)
}

func (s *timeoutStore) put(data []byte, holds string, expires time.Time) error {
	put := func() (struct{}, error) { return struct{}{}, s.store.Put(data, holds, expires) }
	_, err := callWithTimeout(s, storeTimeout, put, nil)
	return err
}

// lock takes the store's lock. If wait is true it waits until ctx ends, at most maxWait. unlock is
// never nil.
func (s *timeoutStore) lock(
	ctx context.Context,
	wait bool,
	maxWait time.Duration,
) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	lock := func() (func(), error) { return s.store.Lock(ctx, wait) }
	unlockLate := func(unlock func()) {
		if unlock != nil {
			unlock()
		}
	}
	unlockStore, err := callWithTimeout(s, maxWait+storeTimeout, lock, unlockLate)
	if err != nil {
		return func() {}, err
	}
	return func() {
		if s.timedOut { // still unlock, so that others do not wait for this process
			go unlockStore()
			return
		}
		unlock := func() (struct{}, error) { unlockStore(); return struct{}{}, nil }
		_, _ = callWithTimeout(s, storeTimeout, unlock, nil)
	}, nil
}

// callWithTimeout calls f, which uses the store, and waits at most d for it. If f returns after
// that, late gets the result unless it is nil.
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
	var zero T
	if s.timedOut {
		return zero, errStoreTimeout
	}
	done := make(chan outcome, 1)
	go func() {
		result, err := f()
		done <- outcome{result, err}
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case o := <-done:
		return o.result, o.err
	case <-timer.C:
	}
	s.timedOut = true
	if late != nil {
		go func() { late((<-done).result) }()
	}
	return zero, errStoreTimeout
}

// openStore returns the store for secret and inputs. It returns nil if nothing is to be stored, as
// without a secret, which would have to seal it.
func (opts Options) openStore(secret []byte, inputs []string) *timeoutStore {
	if opts.Store == nil || len(secret) == 0 {
		return nil
	}
	if store := opts.Store(secret, inputs); store != nil {
		return &timeoutStore{store: store}
	}
	return nil
}

// loadUserKey returns the current user's key. It returns nil if there is none: what the key would
// seal is then not stored.
func (opts Options) loadUserKey() []byte {
	if opts.UserKey == nil {
		return nil
	}
	key, err := opts.UserKey()
	if err != nil {
		opts.Log.Debug("nothing is kept: there is no key to seal it with", "reason", err)
		return nil
	}
	return key
}

// waitNoticeDelay is how long lockWithNotice waits before it prints.
const waitNoticeDelay = time.Second

// lockWithNotice calls lock, and tells the person at the prompt if that takes long.
func (opts Options) lockWithNotice(lock func() (func(), error)) (unlock func(), err error) {
	notice := time.AfterFunc(waitNoticeDelay, func() {
		const text = "waiting for another process, which may be asking somebody to sign in"
		fmt.Fprintln(opts.Prompt, text)
	})
	defer notice.Stop()
	return lock()
}
