package token_test

import (
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"
)

// The clock jumps while the response is on its way, and again before the next call. Each call
// returns a token that is valid by its own clock. A jump costs at most one exchange, and without a
// jump the next call gets the token from the store.
func TestClockJumpCostsAtMostOneExchange(t *testing.T) {
	jumps := []time.Duration{
		0, time.Hour, -time.Hour, 3 * time.Hour, -3 * time.Hour, 30 * 24 * time.Hour,
	}
	s := newRawServer(t, "http/1.1")
	for _, during := range jumps {
		for _, after := range jumps {
			c := newTestCaller(t, s)
			var offset atomic.Int64 // of the caller's clock, in nanoseconds
			c.options.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
			exchangeOffset := during // of the clock when a response arrives
			s.respondWith(func(conn *tls.Conn, _ int) {
				offset.Store(int64(exchangeOffset))
				conn.Write(goodResponses[0].wire)
			})
			get := func(maxExchanges int64) {
				t.Helper()
				s.connections.Store(0)
				tok, err := c.get()
				now := c.options.Now()
				if err != nil || !tok.Expires.After(now) ||
					tok.Obtained.After(now.Add(time.Minute)) ||
					!tok.ReportedExpiry(now).After(now) {
					t.Errorf("jumps %s, %s: at %s %+v, %v", during, after, now, tok, err)
				}
				if n := s.connections.Load(); n > maxExchanges {
					t.Errorf("jumps %s, %s: %d exchanges, want %d at most",
						during, after, n, maxExchanges)
				}
			}
			get(1)
			get(0)
			exchangeOffset += after
			offset.Store(int64(exchangeOffset))
			if after == 0 {
				get(0)
			} else {
				get(1)
			}
			get(0)
		}
	}
}
