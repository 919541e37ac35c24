package token

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/akslogin/akslogin/token/internal/entra"
)

// attempt is what a credential is made for: one question and its repetitions.
type attempt struct {
	Options
	entra.Client
	clientOptions azcore.ClientOptions // the way there, for azidentity and MSAL
	proofKey      *proofKey            // the key that the token is to be bound to; nil: a bearer token is wanted
}

// skipsInstanceDiscovery tells whether nobody need be asked about the authority: it is Microsoft's
// own, or the person trusts it.
func (a attempt) skipsInstanceDiscovery(r Request) bool {
	return a.SkipDiscovery || r.DisableInstanceDiscovery
}

// rootCause finds the cause that azidentity's and MSAL's errors have no way to tell: the answer
// that refused, or how the last request ended.
func rootCause(ctx context.Context, err error, last *entra.Outcome) error {
	if errors.As(err, new(*signInNeededError)) {
		return err
	}
	if last.Refusal != nil && !last.Refusal.IsPending() {
		return last.Refusal
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		if last.Err == nil || errors.Is(last.Err, ctxErr) {
			return ctxErr
		}
		return fmt.Errorf("%w; the last try ended so: %w", ctxErr, last.Err)
	}
	if last.Err != nil {
		return last.Err
	}
	return err
}

// sleepWithJitter waits d or a little less, so that many processes do not come back at once. It
// returns false when ctx ends first.
func sleepWithJitter(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d - rand.N(d/2+1)):
		return true
	case <-ctx.Done():
		return false
	}
}
