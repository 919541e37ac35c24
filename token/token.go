// Package token gets access tokens from Microsoft Entra ID for Kubernetes clusters and other
// services.
//
// A [Request] names the token and the login method, such as a federated token of a pod or a person
// at a browser. [Get] returns the [Token]: from a sealed store if that holds a fresh one, else by
// an exchange at Entra ID. Processes that share a store make one exchange between them.
//
// [Explain] turns an error into text for people. [Diagnose] examines why a login fails.
package token

import "time"

// Token is an access token as Entra ID issued it. Times are by this machine's clock.
type Token struct {
	Value     string    `json:"value"`               // goes into "Authorization: Bearer"; secret
	Obtained  time.Time `json:"obtained"`            // when it arrived
	Expires   time.Time `json:"expires"`             // when it expires
	RefreshOn time.Time `json:"refresh_on,omitzero"` // when to refresh it; zero if unknown

	// ProofKey is the private key, PKCS #8, that a proof-of-possession token is bound to. It exists
	// only in the store: Get returns no key.
	ProofKey []byte `json:"proof,omitempty"`
}

// ReportedExpiry returns the expiry to report to a client, in UTC and whole seconds. It is earlier
// than the real one by a minute, or by a tenth of the lifetime if that is less, because client-go
// uses a token until the very second that it was told. It is after now as long as the token has not
// expired.
func (t Token) ReportedExpiry(now time.Time) time.Time {
	expires := t.Expires.UTC()
	early := expires.Add(-min(time.Minute, t.lifetime()/10))
	for _, expiry := range []time.Time{early, expires} {
		if expiry = expiry.Truncate(time.Second); expiry.After(now) {
			return expiry
		}
	}
	return expires.Add(time.Second - 1).Truncate(time.Second)
}

// ServeWindow returns the time in which [Get] returns this token from the store without trying to
// refresh it.
func (t Token) ServeWindow() (from, until time.Time) {
	until = t.freshUntil()
	if !t.RefreshOn.IsZero() && t.RefreshOn.Before(until) {
		until = t.RefreshOn
	}
	return t.Obtained.Add(-maxClockSetback), until
}

func (t Token) lifetime() time.Duration { return t.Expires.Sub(t.Obtained) }

// refreshMargin is the least time that a fresh token has left. Python clients ask for a new token
// five minutes before the expiry.
const refreshMargin = 10 * time.Minute

// maxClockSetback is how far the clock may have been set back since a token was obtained.
const maxClockSetback = time.Minute

// fresh reports whether the token has enough time left to be served without a refresh.
func (t Token) fresh(now time.Time) bool { return t.valid(now) && now.Before(t.freshUntil()) }

// freshUntil returns when the token stops being fresh.
func (t Token) freshUntil() time.Time { return t.Expires.Add(-min(refreshMargin, t.lifetime()/5)) }

// needsRefresh reports whether RefreshOn is over.
func (t Token) needsRefresh(now time.Time) bool {
	return !t.RefreshOn.IsZero() && !now.Before(t.RefreshOn)
}

// valid reports whether the token has a value and has not expired. A token from the future is not
// valid: the clock was set back, so that nothing is known about the expiry.
func (t Token) valid(now time.Time) bool {
	return t.Value != "" && now.Before(t.Expires) && !now.Before(t.Obtained.Add(-maxClockSetback))
}

// validFor reports whether the token stays valid for longer than d.
func (t Token) validFor(d time.Duration, now time.Time) bool {
	return t.valid(now) && t.Expires.Sub(now) > d
}
