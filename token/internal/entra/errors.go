package entra

import "fmt"

// PermanentError is an error that a retry cannot fix.
type PermanentError struct{ error }

// NewPermanentError returns a *PermanentError that wraps fmt.Errorf(format, args...).
func NewPermanentError(format string, args ...any) error {
	return &PermanentError{fmt.Errorf(format, args...)}
}

// Unwrap returns the error made from the format.
func (e *PermanentError) Unwrap() error { return e.error }

// NonRetriable marks the error for azcore's retry policy.
func (*PermanentError) NonRetriable() {}

// ProxyError is the refusal of an HTTP proxy to connect to a server.
type ProxyError struct {
	Status         int  // HTTP status of the proxy's response to CONNECT
	HasCredentials bool // the proxy's URL has a user name
}

func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy that $HTTPS_PROXY names refused to connect: HTTP status %d",
		e.Status)
}

// RealmError reports an account whose password Entra ID does not check itself.
type RealmError struct {
	// Federated is true if another identity provider checks the password. Otherwise Entra ID does
	// not know the type of the account.
	Federated bool
}

func (e *RealmError) Error() string {
	if e.Federated {
		return "another identity provider checks the account's password " +
			"(it is federated, as by AD FS), and the password is not sent there"
	}
	return "Entra ID does not know the account type of the user name"
}
