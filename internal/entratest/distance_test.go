package entratest_test

import (
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

// A document and a token, asked for on one new connection through the proxy, take as long as they must. Nothing is said of how much longer.
func TestLatencyAndDistance(t *testing.T) {
	const d = 20 * time.Millisecond
	for name, c := range map[string]struct {
		set     func(s *entratest.Server)
		atLeast time.Duration
	}{
		"latency":  {func(s *entratest.Server) { s.SetLatency(d) }, 2 * d},  // two answers
		"distance": {func(s *entratest.Server) { s.SetDistance(d) }, 4 * d}, // connection, TLS 1.3, two requests
		"both":     {func(s *entratest.Server) { s.SetLatency(d); s.SetDistance(d) }, 6 * d},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c.set(s)
			hc, began := client(t, s, true), time.Now()
			if got := getURL(t, hc, "https://login.microsoftonline.com/"+tenantID+"/v2.0/.well-known/openid-configuration"); got.status != 200 {
				t.Error(got.raw)
			}
			got, err := do(hc, tokenRequest("https://login.microsoftonline.com", tenantID, form(s.Assertion(entratest.Claims{Subject: subject}))))
			if err != nil || got.status != 200 {
				t.Errorf("%v %s", err, got.raw)
			}
			if took := time.Since(began); took < c.atLeast {
				t.Errorf("took %v, which is less than %v", took, c.atLeast)
			}
		})
	}
}

// Whoever goes away is not answered, and what was under way does not keep the server from closing.
func TestLeftBehindOnTheWay(t *testing.T) {
	for name, set := range map[string]func(*entratest.Server){
		"latency": func(s *entratest.Server) { s.SetLatency(time.Hour) }, "distance": func(s *entratest.Server) { s.SetDistance(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			set(s)
			hc := client(t, s, true)
			hc.Timeout = 50 * time.Millisecond
			if _, err := do(hc, tokenRequest("https://login.microsoftonline.com", tenantID, form("x"))); err == nil || s.Issued() != 0 {
				t.Errorf("%v, %d tokens issued", err, s.Issued())
			}
		})
	}
}
