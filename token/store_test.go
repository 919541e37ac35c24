package token

import (
	"testing"
	"time"
)

// A disk that does not answer is waited for a while and no longer; what comes late is not lost.
func TestCallWithTimeout(t *testing.T) {
	hanging, late := make(chan int), make(chan int)
	u := &timeoutStore{}
	if n, err := callWithTimeout(u, time.Hour, func() (int, error) { return 7, errStoreTimeout }, nil); n != 7 || err != errStoreTimeout || u.timedOut {
		t.Errorf("%d, %v, %v", n, err, u.timedOut)
	}
	if _, err := callWithTimeout(u, time.Millisecond, func() (int, error) { return <-hanging, nil }, func(n int) { late <- n }); err != errStoreTimeout || !u.timedOut {
		t.Errorf("a call that hangs ended with %v", err)
	}
	hanging <- 7
	if n := <-late; n != 7 {
		t.Errorf("%d came late", n)
	}
}
