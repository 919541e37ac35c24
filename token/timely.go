package token

import (
	"context"
	"errors"
	"time"
)

// diskTime is the longest that a store may take for reading or writing: a network's file system may never answer.
const diskTime = 3 * time.Second

var errSlow = errors.New("the cache's disk does not answer")

// timely is a store that is waited for no longer than diskTime, and once it was too slow not at all: then every call returns errSlow.
// It is for one goroutine.
type timely struct {
	store Store
	hung  bool
}

func (s *timely) get() ([]byte, error) { return within(s, diskTime, s.store.Get, nil) }

func (s *timely) put(data []byte, holds string, expires time.Time) error {
	_, err := within(s, diskTime, func() (struct{}, error) { return struct{}{}, s.store.Put(data, holds, expires) }, nil)
	return err
}

// lock waits for the lock as long as ctx lasts, which atMost bounds. unlock is never nil.
func (s *timely) lock(ctx context.Context, wait bool, atMost time.Duration) (unlock func(), err error) {
	ctx, done := context.WithTimeout(ctx, atMost)
	defer done()
	give, err := within(s, atMost+diskTime, func() (func(), error) { return s.store.Lock(ctx, wait) }, func(give func()) {
		if give != nil {
			give()
		}
	})
	if err != nil {
		return func() {}, err
	}
	return func() {
		if s.hung { // others must not wait for a process that goes on without the store
			go give()
			return
		}
		_, _ = within(s, diskTime, func() (struct{}, error) { give(); return struct{}{}, nil }, nil)
	}, nil
}

// within runs f, which uses the store, and waits no longer than d for it; late, if not nil, gets what f still returns after that.
func within[T any](s *timely, d time.Duration, f func() (T, error), late func(T)) (T, error) {
	type outcome struct {
		result T
		err    error
	}
	var none T
	if s.hung {
		return none, errSlow
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
	s.hung = true
	if late != nil {
		go func() { late((<-ended).result) }()
	}
	return none, errSlow
}
