package token

import (
	"errors"
	"fmt"
	"slices"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// UsageError says that a request cannot work. It is found before anything is sent. Text and Hint
// may quote values of the request.
type UsageError struct{ Text, Hint string }

func (e *UsageError) Error() string { return e.Text }

func usageErrorf(format string, args ...any) error {
	return &UsageError{Text: fmt.Sprintf(format, args...)}
}

// FailedError says that an operation failed. Text and Hint are for people and may hold text of
// foreign origin; [Explain] makes them safe to print.
type FailedError struct{ Text, Hint string }

func (e *FailedError) Error() string { return e.Text }

// Refusal is Entra ID's error response to a token request (RFC 6749, section 5.2), with its AADSTS
// code. Find it in an error of [Get] with [errors.As] and a *Refusal.
type Refusal = entra.Refusal

// hasAADSTS reports whether err is a refusal with one of the codes.
func hasAADSTS(err error, codes ...int) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && slices.Contains(codes, refusal.AADSTS)
}

// signInNeededError says that a person would have to sign in, and that nobody can be asked.
type signInNeededError struct {
	refused *Refusal // response to the cached sign-in; nil if there was none
}

func (e *signInNeededError) Error() string {
	if e.refused != nil {
		return fmt.Sprintf(
			"a person has to sign in again, and nobody can be asked here: %v", e.refused,
		)
	}
	return "a person has to sign in, and nobody can be asked here"
}

// postError says that a service did not respond to [Post].
type postError struct {
	request    Request
	service    string // https://HOST/
	hintValues map[string]string
	err        error
}

func (e *postError) Error() string { return fmt.Sprintf("ask %s: %v", e.service, e.err) }

func (e *postError) Unwrap() error { return e.err }
