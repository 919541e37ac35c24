package entratest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

// A discovery document and a token, fetched on one new connection through the proxy, take at least
// the configured time. No test has an upper bound, since a loaded machine may take any time.
func TestLatencyAndRoundTrip(t *testing.T) {
	const d = 20 * time.Millisecond
	for name, test := range map[string]struct {
		configure func(s *entratest.Server)
		atLeast   time.Duration
	}{
		// There are two responses. Round trips: TCP connection, TLS 1.3, two requests.
		"latency":    {func(s *entratest.Server) { s.SetLatency(d) }, 2 * d},
		"round trip": {func(s *entratest.Server) { s.SetRoundTrip(d) }, 4 * d},
		"both":       {func(s *entratest.Server) { s.SetLatency(d); s.SetRoundTrip(d) }, 6 * d},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			test.configure(s)
			c := proxyClient(t, s)
			document := publicCloud + "/" + tenantID + "/v2.0/.well-known/openid-configuration"
			start := time.Now()
			if got := getURL(t, c, document); got.status != 200 {
				t.Error(got)
			}
			got, err := doRequest(c, tokenRequest(publicCloud, tenantID, validForm(s)))
			if err != nil || got.status != 200 {
				t.Errorf("%v, %v", err, got)
			}
			if elapsed := time.Since(start); elapsed < test.atLeast {
				t.Errorf("took %v, want at least %v", elapsed, test.atLeast)
			}
		})
	}
}

// A client that disconnects gets no token, and its delayed request does not keep the server from
// closing.
func TestAbandonedConnectionGetsNoToken(t *testing.T) {
	for name, delay := range map[string]func(*entratest.Server){
		"latency":    func(s *entratest.Server) { s.SetLatency(time.Hour) },
		"round trip": func(s *entratest.Server) { s.SetRoundTrip(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			delay(s)
			c := proxyClient(t, s)
			c.Timeout = 50 * time.Millisecond
			_, err := doRequest(c, tokenRequest(publicCloud, tenantID, assertionForm("x")))
			if err == nil || s.Issued() != 0 {
				t.Errorf("%v, %d tokens issued", err, s.Issued())
			}
		})
	}
}

func TestHoldAndRelease(t *testing.T) {
	s := newServer(t)
	c := directClient(t, s)
	s.Hold()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			got, err := doRequest(c, tokenRequest(s.URL, tenantID, validForm(s)))
			if err != nil || got.status != 200 {
				t.Errorf("%v, %v", err, got)
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

// The server closes at the end of a test although a client gave up on a request that had to wait.
func TestAbandonedRequestDoesNotBlockClose(t *testing.T) {
	for name, delay := range map[string]func(*entratest.Server){
		"held":    func(s *entratest.Server) { s.Hold() },
		"delayed": func(s *entratest.Server) { s.SetDelay(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			delay(s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error)
			c := directClient(t, s)
			req := tokenRequest(s.URL, tenantID, assertionForm("x")).WithContext(ctx)
			go func() {
				_, err := doRequest(c, req)
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
	const delay = 20 * time.Millisecond
	s.SetDelay(delay)
	start := time.Now()
	if got := postToken(t, directClient(t, s), s, validForm(s)); got.status != 200 {
		t.Error(got)
	}
	if elapsed := time.Since(start); elapsed < delay {
		t.Errorf("took %v, want at least %v", elapsed, delay)
	}
}
