package entra

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestRetryAfterIsReadAndNormalized(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "3", 3 * time.Second},
		{"Retry-After", "-3", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "9223372037", 24 * time.Hour},
		{"Retry-After", "99999999999999999999", 0},
		{"Retry-After", time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat), 90 * time.Second},
		{"Retry-After", time.Now().Add(90 * time.Second).UTC().Format(time.ANSIC), 90 * time.Second},
		{"Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), 0},
		{"Retry-After-Ms", "1500", 1500 * time.Millisecond},
		{"X-Ms-Retry-After-Ms", "200", 200 * time.Millisecond},
	} {
		resp := &http.Response{Header: http.Header{}}
		resp.Header.Set(c.name, c.value)
		if got := RetryAfter(resp); got < c.want-2*time.Second || got > c.want {
			t.Errorf("%s: %s: %s, want %s", c.name, c.value, got, c.want)
		}
		normalizeRetryAfter(resp)
		if got := RetryAfter(resp); got < c.want-2*time.Second || got >= c.want+time.Second || (c.want == 0) != (len(resp.Header) == 0) {
			t.Errorf("%s: %s became %v", c.name, c.value, resp.Header)
		}
	}
}

// However a server asks to be left alone, it is for a time between nothing and a day, and azcore
// reads the same.
func FuzzRetryAfter(f *testing.F) {
	f.Add("1500", "", "")
	f.Add("", "-5", "Wed, 21 Oct 2026 07:28:00 GMT")
	f.Add("18446744073709551615", "9223372036854775808", "1e9")
	f.Add("0", " 1", "\x00")
	f.Fuzz(func(t *testing.T, ms, otherMs, after string) {
		resp := &http.Response{Header: http.Header{"Retry-After-Ms": {ms}, "X-Ms-Retry-After-Ms": {otherMs}, "Retry-After": {after}}}
		d := RetryAfter(resp)
		if d < 0 || d > 24*time.Hour {
			t.Fatalf("%s", d)
		}
		_, isDate := http.ParseTime(after)
		normalizeRetryAfter(resp)
		for _, h := range retryHeaders[:2] {
			if resp.Header.Get(h.name) != "" {
				t.Fatalf("%s is left", h.name)
			}
		}
		left := resp.Header.Get("Retry-After")
		n, err := strconv.Atoi(left)
		switch slack := 2 * time.Second; {
		case left == "" && d > 0 && isDate != nil:
			t.Fatalf("%s is forgotten", d)
		case left != "" && (err != nil || n <= 0 || time.Duration(n)*time.Second < d-slack || time.Duration(n)*time.Second > d+slack):
			t.Fatalf("%s became %q", d, left)
		}
	})
}
