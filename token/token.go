// Package token turns a Request into a Token: it reads what a login method presents, answers from a
// sealed store where that holds a fresh token, and otherwise sees to it that one process asks
// Microsoft Entra ID and the others wait for its result.
package token

import (
	"time"
)

// Token is an access token as Entra ID issued it. Times are by this machine's clock.
type Token struct {
	Value     string    `json:"value"`               // goes into "Authorization: Bearer"; secret
	Obtained  time.Time `json:"obtained"`            // when it came
	Expires   time.Time `json:"expires"`             // when Entra ID says it ends
	RefreshOn time.Time `json:"refresh_on,omitzero"` // from when Entra ID wants it renewed; zero: it did not say

	ProofKey []byte `json:"proof,omitempty"` // the private key (PKCS #8) that the token is bound to; in the store only, Get returns none
}

// ReportedExpiry is the moment to tell a client as the token's end: a minute, or a tenth of its
// life where that is less, before the real one, because client-go uses a token to the very second
// that it was told. It lies in the future as long as the token does; the result is in UTC and whole
// seconds.
func (t Token) ReportedExpiry(now time.Time) time.Time {
	end := t.Expires.UTC()
	for _, until := range []time.Time{end.Add(-min(time.Minute, t.lifetime()/10)), end} {
		if until = until.Truncate(time.Second); until.After(now) {
			return until
		}
	}
	return end.Add(time.Second - 1).Truncate(time.Second)
}

// ServeWindow is the time in which [Get] answers with the token as it is, and looks for no other.
func (t Token) ServeWindow() (from, until time.Time) {
	until = t.freshUntil()
	if !t.RefreshOn.IsZero() && t.RefreshOn.Before(until) {
		until = t.RefreshOn
	}
	return t.Obtained.Add(-maxClockSetback), until
}

func (t Token) lifetime() time.Duration { return t.Expires.Sub(t.Obtained) }

// refreshMargin is what a fresh token has left at least: Python clients ask again five minutes
// before the end.
const refreshMargin = 10 * time.Minute

// maxClockSetback is how far a clock may be set back without making a token one of the future.
const maxClockSetback = time.Minute

// fresh tells whether the token has enough left to be handed out without trying to renew it first.
func (t Token) fresh(now time.Time) bool { return t.valid(now) && now.Before(t.freshUntil()) }

// freshUntil is when the token is too near to its end to be handed out without trying to renew it
// first.
func (t Token) freshUntil() time.Time { return t.Expires.Add(-min(refreshMargin, t.lifetime()/5)) }

// needsRefresh tells whether Entra ID wants the token renewed by now.
func (t Token) needsRefresh(now time.Time) bool {
	return !t.RefreshOn.IsZero() && !now.Before(t.RefreshOn)
}

// valid tells whether the token is in its life. One that was obtained in the future is not: a clock
// has been set back, and what it says about the token's end is worth nothing.
func (t Token) valid(now time.Time) bool {
	return t.Value != "" && now.Before(t.Expires) && !now.Before(t.Obtained.Add(-maxClockSetback))
}

// validFor tells whether the token works for longer than d.
func (t Token) validFor(d time.Duration, now time.Time) bool {
	return t.valid(now) && t.Expires.Sub(now) > d
}
