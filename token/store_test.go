package token

import (
	"testing"
	"time"
)

// A call to a hung disk times out, and its late result is handed over.
func TestCallWithTimeout(t *testing.T) {
	store := &timeoutStore{}
	fails := func() (int, error) { return 7, errStoreTimeout }
	n, err := callWithTimeout(store, time.Hour, fails, nil)
	if n != 7 || err != errStoreTimeout || store.timedOut {
		t.Errorf("%d, %v, timed out: %v", n, err, store.timedOut)
	}
	result, late := make(chan int), make(chan int)
	hangs := func() (int, error) { return <-result, nil }
	_, err = callWithTimeout(store, time.Millisecond, hangs, func(n int) { late <- n })
	if err != errStoreTimeout || !store.timedOut {
		t.Errorf("a call that hangs: %v, timed out: %v", err, store.timedOut)
	}
	result <- 7
	if n := <-late; n != 7 {
		t.Errorf("late result %d", n)
	}
}
