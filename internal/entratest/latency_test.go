package entratest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

// A document and a token, asked for on one new connection through the proxy, take as long as they
// must. Nothing is said of how much longer.
func TestLatencyAndRoundTrip(t *testing.T) {
	const d = 20 * time.Millisecond
	for name, c := range map[string]struct {
		set     func(s *entratest.Server)
		atLeast time.Duration
	}{
		"latency":  {func(s *entratest.Server) { s.SetLatency(d) }, 2 * d},   // two answers
		"distance": {func(s *entratest.Server) { s.SetRoundTrip(d) }, 4 * d}, // connection, TLS 1.3, two requests
		"both":     {func(s *entratest.Server) { s.SetLatency(d); s.SetRoundTrip(d) }, 6 * d},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			c.set(s)
			hc, began := newClient(t, s, true), time.Now()
			if got := getURL(t, hc, "https://login.microsoftonline.com/"+tenantID+"/v2.0/.well-known/openid-configuration"); got.status != 200 {
				t.Error(got.raw)
			}
			got, err := doRequest(hc, tokenRequest("https://login.microsoftonline.com", tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))))
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
func TestAbandonedConnectionGetsNoToken(t *testing.T) {
	for name, set := range map[string]func(*entratest.Server){
		"latency": func(s *entratest.Server) { s.SetLatency(time.Hour) }, "distance": func(s *entratest.Server) { s.SetRoundTrip(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			set(s)
			hc := newClient(t, s, true)
			hc.Timeout = 50 * time.Millisecond
			if _, err := doRequest(hc, tokenRequest("https://login.microsoftonline.com", tenantID, assertionForm("x"))); err == nil || s.Issued() != 0 {
				t.Errorf("%v, %d tokens issued", err, s.Issued())
			}
		})
	}
}

func TestHoldAndRelease(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, false)
	s.Hold()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			got, err := doRequest(c, tokenRequest(s.URL, tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))))
			if err != nil || got.status != 200 {
				t.Errorf("%v %s", err, got.raw)
			}
		})
	}
	if !s.WaitTokenRequests(5, testTimeout) {
		t.Fatal("the requests did not arrive")
	}
	if s.Issued() != 0 {
		t.Errorf("%d tokens issued while held", s.Issued())
	}
	if s.WaitTokenRequests(6, time.Millisecond) {
		t.Error("six requests arrived")
	}
	s.Release()
	wg.Wait()
	if s.Issued() != 5 {
		t.Errorf("%d tokens issued", s.Issued())
	}
}

// A client that goes away does not leave anything waiting: the server could not be closed then.
func TestAbandonedRequestDoesNotBlockClose(t *testing.T) {
	for name, knob := range map[string]func(*entratest.Server){
		"held":    func(s *entratest.Server) { s.Hold() },
		"delayed": func(s *entratest.Server) { s.SetDelay(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			knob(s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error)
			c := newClient(t, s, false)
			go func() {
				_, err := doRequest(c, tokenRequest(s.URL, tenantID, assertionForm("x")).WithContext(ctx))
				failed <- err
			}()
			if !s.WaitTokenRequests(1, testTimeout) {
				t.Fatal("the request did not arrive")
			}
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

func TestDelay(t *testing.T) {
	s := newServer(t)
	s.SetDelay(20 * time.Millisecond)
	began := time.Now()
	if got := exchange(t, s, newClient(t, s, false), assertionForm(s.Assertion(entratest.Claims{Subject: subject}))); got.status != 200 {
		t.Error(got.raw)
	}
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("took %v", took)
	}
}
