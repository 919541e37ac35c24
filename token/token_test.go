package token

import (
	"testing"
	"time"
)

var testNow = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// tokenWith returns a token with the given lifetime, of which timeLeft remains at testNow.
func tokenWith(lifetime, timeLeft time.Duration) Token {
	expires := testNow.Add(timeLeft)
	return Token{Value: "t", Obtained: expires.Add(-lifetime), Expires: expires}
}

func TestFreshAndValidByTimeLeft(t *testing.T) {
	for name, c := range map[string]struct {
		token        Token
		fresh, valid bool
	}{
		"no token":                     {Token{}, false, false},
		"new token":                    {tokenWith(time.Hour, time.Hour), true, true},
		"more than ten minutes left":   {tokenWith(time.Hour, 10*time.Minute+time.Second), true, true},
		"ten minutes left":             {tokenWith(time.Hour, 10*time.Minute), false, true},
		"last second":                  {tokenWith(time.Hour, time.Second), false, true},
		"expired":                      {tokenWith(time.Hour, 0), false, false},
		"short-lived, a fifth left":    {tokenWith(10*time.Minute, 2*time.Minute), false, true},
		"short-lived, more than that":  {tokenWith(10*time.Minute, 2*time.Minute+time.Second), true, true},
		"long-lived, ten minutes left": {tokenWith(24*time.Hour, 10*time.Minute), false, true},
		"obtained in the future":       {tokenWith(time.Hour, 2*time.Hour), false, false},
		"small clock skew":             {tokenWith(time.Hour, time.Hour+30*time.Second), true, true},
	} {
		fresh, valid := c.token.fresh(testNow), c.token.valid(testNow)
		if fresh != c.fresh || valid != c.valid {
			t.Errorf("%s: fresh %v valid %v, want %v %v", name, fresh, valid, c.fresh, c.valid)
		}
	}
}

func TestReportedExpiryIsEarlyAndNotPast(t *testing.T) {
	for name, c := range map[string]struct {
		token Token
		want  time.Duration
	}{
		"one minute early":              {tokenWith(time.Hour, time.Hour), 59 * time.Minute},
		"a tenth of the lifetime early": {tokenWith(5*time.Minute, 5*time.Minute), 270 * time.Second},
		"whole seconds":                 {tokenWith(time.Hour, time.Hour+500*time.Millisecond), 59 * time.Minute},
		"expiry, in the last minute":    {tokenWith(time.Hour, 30*time.Second), 30 * time.Second},
		"rounded down":                  {tokenWith(time.Hour, 1900*time.Millisecond), time.Second},
		"not in the past":               {tokenWith(time.Hour, 300*time.Millisecond), time.Second},
	} {
		if got := c.token.ReportedExpiry(testNow).Sub(testNow); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
