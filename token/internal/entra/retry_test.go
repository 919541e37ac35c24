package entra

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfterIsReadAndNormalized(t *testing.T) {
	soon := time.Now().Add(90 * time.Second).UTC()
	past := time.Now().Add(-time.Hour).UTC()
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "3", 3 * time.Second},
		{"Retry-After", "-3", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "9223372037", 24 * time.Hour},
		{"Retry-After", "99999999999999999999", 0},
		{"Retry-After", soon.Format(http.TimeFormat), 90 * time.Second},
		{"Retry-After", soon.Format(time.ANSIC), 90 * time.Second},
		{"Retry-After", past.Format(http.TimeFormat), 0},
		{"Retry-After-Ms", "1500", 1500 * time.Millisecond},
		{"X-Ms-Retry-After-Ms", "200", 200 * time.Millisecond},
	} {
		resp := &http.Response{Header: http.Header{}}
		resp.Header.Set(c.name, c.value)
		if got := RetryAfter(resp); got < c.want-2*time.Second || got > c.want {
			t.Errorf("%s: %s: %s, want %s", c.name, c.value, got, c.want)
		}
		normalizeRetryAfter(resp)
		got := RetryAfter(resp)
		if got < c.want-2*time.Second || got >= c.want+time.Second ||
			(c.want == 0) != (len(resp.Header) == 0) {
			t.Errorf("%s: %s became %v", c.name, c.value, resp.Header)
		}
	}
}

// Whatever delay a server asks for, it is between zero and a day, and azcore reads the same delay.
func FuzzRetryAfter(f *testing.F) {
	f.Add("1500", "", "")
	f.Add("", "-5", "Wed, 21 Oct 2026 07:28:00 GMT")
	f.Add("18446744073709551615", "9223372036854775808", "1e9")
	f.Add("0", " 1", "\x00")
	f.Fuzz(func(t *testing.T, ms, otherMs, after string) {
		resp := &http.Response{Header: http.Header{
			"Retry-After-Ms": {ms}, "X-Ms-Retry-After-Ms": {otherMs}, "Retry-After": {after},
		}}
		want := RetryAfter(resp)
		if want < 0 || want > 24*time.Hour {
			t.Fatalf("%s", want)
		}
		normalizeRetryAfter(resp)
		for _, h := range retryHeaders[:2] {
			if resp.Header.Get(h.name) != "" {
				t.Fatalf("%s is still set", h.name)
			}
		}
		normalized := resp.Header.Get("Retry-After")
		if normalized == "" {
			if _, err := http.ParseTime(after); want > 0 && err != nil {
				t.Fatalf("a delay of %s is lost", want)
			}
			return
		}
		const slack = 2 * time.Second // for the time since the first call of RetryAfter
		n, err := strconv.Atoi(normalized)
		got := time.Duration(n) * time.Second
		if err != nil || n <= 0 || got < want-slack || got > want+slack {
			t.Fatalf("%s became %q", want, normalized)
		}
	})
}

// slowServer answers requests after a delay, and records how long each one waited.
type slowServer struct {
	delay  time.Duration
	waited []time.Duration
}

func (s *slowServer) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	defer func() { s.waited = append(s.waited, time.Since(start).Round(time.Second)) }()
	select {
	case <-time.After(s.delay):
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// The time for a try grows with the deadline, so that a larger --timeout reaches a slow server. The
// error names the limit that struck.
func TestTryTimeoutGrowsWithTheDeadline(t *testing.T) {
	const never = 1000 * time.Hour
	s := time.Second
	for _, c := range []struct {
		delay, deadline time.Duration
		tries           []time.Duration
		err             string
	}{
		{15 * s, time.Minute, []time.Duration{10 * s, 15 * s}, ""},
		{never, time.Minute, []time.Duration{10 * s, 17 * s, 11 * s, 10 * s},
			"no answer within 10s, the limit of one try"},
		{240 * s, 30 * time.Minute, []time.Duration{10 * s, 240 * s}, ""},
		{never, 30 * time.Minute, []time.Duration{10 * s, 597 * s, 398 * s, 265 * s},
			"no answer within 4m25s, the limit of one try"},
		{never, 15 * s, []time.Duration{10 * s, 5 * s}, "context deadline exceeded"},
		{never, 5 * s, []time.Duration{5 * s}, "context deadline exceeded"},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := &slowServer{delay: c.delay}
			client := Client{
				Authority: "https://service/", Network: server, Backoff: time.Millisecond,
				LastOutcome: &Outcome{},
			}
			ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
			defer cancel()
			_, err := client.Send(ctx, http.MethodPost, "https://service/x", "token", nil)
			if c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
				t.Errorf("%+v: %v", c, err)
			}
			if !slices.Equal(server.waited, c.tries) {
				t.Errorf("%+v: the tries waited %v", c, server.waited)
			}
		})
	}
}
