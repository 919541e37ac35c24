package token_test

import (
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"
)

// The clock jumps while the answer is on its way, and again before the next run. Each run serves
// what is good by its own clock, a jump costs an exchange at most, and where there is none the next
// run has the token from the store.
func TestClockJumpCostsAtMostOneExchange(t *testing.T) {
	jumps := []time.Duration{0, time.Hour, -time.Hour, 3 * time.Hour, -3 * time.Hour, 30 * 24 * time.Hour}
	p := newRawServer(t, "http/1.1")
	for _, during := range jumps {
		for _, after := range jumps {
			c := newTestCaller(t, p)
			var offset atomic.Int64
			c.options.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
			p.respondWith(func(conn *tls.Conn, _ int) {
				offset.Store(int64(during))
				conn.Write(goodResponses[0].wire)
			})
			get := func(most int64) {
				t.Helper()
				p.connections.Store(0)
				tok, err := c.get()
				now := c.options.Now()
				if err != nil || !tok.Expires.After(now) || tok.Obtained.After(now.Add(time.Minute)) || !tok.ReportedExpiry(now).After(now) {
					t.Errorf("%s during, %s after: at %s %+v, %v", during, after, now, tok, err)
				}
				if n := p.connections.Load(); n > most {
					t.Errorf("%s during, %s after: asked %d times, want %d at most", during, after, n, most)
				}
			}
			get(1)
			get(0)
			during += after // what the clock is at, and jumps to when it is asked again
			offset.Store(int64(during))
			if after == 0 {
				get(0)
			} else {
				get(1)
			}
			get(0)
			during -= after
		}
	}
}
