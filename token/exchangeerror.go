package token

import (
	"fmt"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// exchangeError says which exchange failed, and why.
type exchangeError struct {
	request    Request
	hintValues map[string]string
	err        error
}

// newExchangeError returns the error for an exchange that has just failed.
func newExchangeError(
	r Request,
	opts Options,
	login Login,
	client entra.Client,
	err error,
) *exchangeError {
	return &exchangeError{r, hintValues(r, opts, login, client), err}
}

// Error names the login, the identity, the tenant and the authority, with the source of each value.
func (e *exchangeError) Error() string {
	m, _ := MethodByName(e.request.Login)
	text := e.request.hopNote(m) + "login " + e.request.Login
	for _, part := range []struct{ flag, format string }{
		{"username", " as %s"},
		{"identity-resource-id", " as %s"},
		{"client-id", " for client ID %s"},
		{"subscription", " for subscription %s"},
		{"tenant-id", " in tenant %s"},
		{"via-client-id", " via client ID %s"},
	} {
		if value := e.request.flagValue(part.flag); value != "" && m.usesFlag(part.flag) {
			text += fmt.Sprintf(part.format, value) + e.request.sourceNote(part.flag)
		}
	}
	if authority := e.hintValues["authority"]; authority != "" {
		text += " at " + authority
	}
	return text + ": " + e.err.Error()
}

func (e *exchangeError) Unwrap() error { return e.err }
