package token

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// attempt is one token request with its retries. Login.NewCredential makes a credential for it.
type attempt struct {
	Options
	entra.Client
	clientOptions azcore.ClientOptions // transport and retries, for azidentity and MSAL
	proofKey      *proofKey            // key that the token is bound to; nil for a bearer token
}

// skipsInstanceDiscovery reports whether the authority is used without asking Microsoft about it:
// it is Microsoft's own, or r says that it is trusted.
func (a attempt) skipsInstanceDiscovery(r Request) bool {
	return a.SkipDiscovery || r.trustsAuthority()
}

// rootCause returns the cause that the errors of azidentity and MSAL do not carry: the refusal, or
// how the last request ended. It returns err itself if there is no better one.
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
		return fmt.Errorf("%w; the last try failed: %w", ctxErr, last.Err)
	}
	if last.Err != nil {
		return last.Err
	}
	return localCause(err)
}

// localCause returns an SDK's own error, such as a file that it cannot read, without the name of
// its credential type and without the link to its manual.
func localCause(err error) error {
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse != nil {
		return err
	}
	_, text, _ := strings.Cut(failed.Error(), ": ")
	text, _, _ = strings.Cut(text, ". To troubleshoot, visit ")
	return errors.New(text)
}

// sleepWithJitter waits between d/2 and d, so that many processes do not retry at the same moment.
// It returns false if ctx ends first.
func sleepWithJitter(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d - rand.N(d/2+1)):
		return true
	case <-ctx.Done():
		return false
	}
}
