package token

import (
	"testing"
	"time"
)

var testNow = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func tokenWith(life, left time.Duration) Token {
	return Token{Value: "t", Obtained: testNow.Add(left - life), Expires: testNow.Add(left)}
}

func TestFreshAndValidByTimeLeft(t *testing.T) {
	for name, c := range map[string]struct {
		token        Token
		fresh, works bool
	}{
		"none":                       {Token{}, false, false},
		"new":                        {tokenWith(time.Hour, time.Hour), true, true},
		"more than ten minutes left": {tokenWith(time.Hour, 10*time.Minute+time.Second), true, true},
		"ten minutes left":           {tokenWith(time.Hour, 10*time.Minute), false, true},
		"last second":                {tokenWith(time.Hour, time.Second), false, true},
		"over":                       {tokenWith(time.Hour, 0), false, false},
		"short, a fifth left":        {tokenWith(10*time.Minute, 2*time.Minute), false, true},
		"short, more than that":      {tokenWith(10*time.Minute, 2*time.Minute+time.Second), true, true},
		"long, ten minutes left":     {tokenWith(24*time.Hour, 10*time.Minute), false, true},
		"from the future":            {tokenWith(time.Hour, 2*time.Hour), false, false},
		"clock a little behind":      {tokenWith(time.Hour, time.Hour+30*time.Second), true, true},
	} {
		if fresh, works := c.token.fresh(testNow), c.token.valid(testNow); fresh != c.fresh || works != c.works {
			t.Errorf("%s: fresh %v works %v, want %v %v", name, fresh, works, c.fresh, c.works)
		}
	}
}

func TestReportedExpiryIsEarlyAndNotPast(t *testing.T) {
	for name, c := range map[string]struct {
		token Token
		want  time.Duration
	}{
		"a minute early":             {tokenWith(time.Hour, time.Hour), 59 * time.Minute},
		"a tenth early":              {tokenWith(5*time.Minute, 5*time.Minute), 270 * time.Second},
		"whole seconds":              {tokenWith(time.Hour, time.Hour+500*time.Millisecond), 59 * time.Minute},
		"the end, once that is past": {tokenWith(time.Hour, 30*time.Second), 30 * time.Second},
		"not after the end":          {tokenWith(time.Hour, 1900*time.Millisecond), time.Second},
		"not in the past":            {tokenWith(time.Hour, 300*time.Millisecond), time.Second},
	} {
		if got := c.token.ReportedExpiry(testNow).Sub(testNow); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
