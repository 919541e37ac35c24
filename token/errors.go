package token

import (
	"errors"
	"fmt"
	"slices"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// UsageError is a request that cannot work, found before anything was sent. Text and Hint may hold
// the person's own values, quoted.
type UsageError struct{ Text, Hint string }

func (e *UsageError) Error() string { return e.Text }

func usageErrorf(format string, args ...any) error {
	return &UsageError{Text: fmt.Sprintf(format, args...)}
}

// FailedError is something that was tried and did not succeed, in words already. Text and Hint may
// hold foreign text.
type FailedError struct{ Text, Hint string }

func (e *FailedError) Error() string { return e.Text }

// exchangeError says what was tried, for Explain.
type exchangeError struct {
	request    Request
	hintValues map[string]string
	secrets    []string // what must not be in the words, whoever repeats it
	err        error
}

func (e *exchangeError) Error() string {
	text := "login " + e.request.Login
	m, _ := MethodByName(e.request.Login)
	for _, who := range []struct{ flag, is string }{
		{"username", " as %s"}, {"identity-resource-id", " as %s"}, {"client-id", " for client ID %s"}, {"subscription", " for subscription %s"}, {"tenant-id", " in tenant %s"},
	} {
		if value := e.request.flagValue(who.flag); value != "" && m.usesFlag(who.flag) {
			text += fmt.Sprintf(who.is, value) + e.request.sourceNote(who.flag)
		}
	}
	if at := e.hintValues["authority"]; at != "" {
		text += " at " + at
	}
	return text + ": " + e.err.Error()
}

func (e *exchangeError) Unwrap() error { return e.err }

// signInNeededError says that a person would have to sign in, and nobody can be asked.
type signInNeededError struct {
	refused *entra.Refusal // the kept sign-in, where there was one; nil otherwise
}

func (e *signInNeededError) Error() string {
	if e.refused != nil {
		return fmt.Sprintf(
			"a person has to sign in again, and nobody can be asked here: %v",
			e.refused,
		)
	}
	return "a person has to sign in, and nobody can be asked here"
}

// federatedFileError says which file did not yield a federated token, and why.
type federatedFileError struct {
	file, from string
	err        error
	knownHint  string // where more is known than the error tells
}

func (e *federatedFileError) Error() string {
	return fmt.Sprintf("read the federated token in %q%s: %v", e.file, e.from, e.err)
}

func (e *federatedFileError) Unwrap() error { return e.err }

// ciError is a CI system that answered, and gave no federated token. Asking again would not help.
type ciError struct{ text, hint string }

func (e *ciError) Error() string { return e.text }

// NonRetriable implements azcore's marker for its retry policy.
func (*ciError) NonRetriable() {}

// postError says which service did not answer, for Explain.
type postError struct {
	request    Request
	service    string // https://HOST/
	hintValues map[string]string
	err        error
}

func (e *postError) Error() string { return fmt.Sprintf("ask %s: %v", e.service, e.err) }

func (e *postError) Unwrap() error { return e.err }

func hasAADSTS(err error, codes ...int) bool {
	var r *entra.Refusal
	return errors.As(err, &r) && slices.Contains(codes, r.AADSTS)
}
