package entra

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

const maxRetries = 3

const RequestTimeout = 10 * time.Second // for one request; a run has Request.Timeout

// shouldRetry is azcore's question after every request. A request that was refused for good, or
// that will not do better a second later, is not repeated.
func shouldRetry(ctx context.Context, resp *http.Response, err error) bool {
	if err != nil {
		return !isPermanent(err)
	}
	if !IsTransientStatus(resp.StatusCode) {
		return false
	}
	deadline, bounded := ctx.Deadline()
	return !bounded || time.Until(deadline) > RetryAfter(resp)
}

// IsTransientStatus tells whether the same request may be answered otherwise a moment later.
func IsTransientStatus(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests ||
		status >= 500
}

func isPermanent(err error) bool {
	var (
		finalErr    *PermanentError
		proxy       *ProxyError
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
	)
	if errors.As(err, &proxy) {
		return proxy.Status < 500
	}
	return errors.As(err, &finalErr) || errors.As(err, &certificate) ||
		(errors.As(err, &dns) && dns.IsNotFound)
}

// retryHeaders are the forms in which a server says how long it wants to be left alone (RFC 9110,
// section 10.2.3; Azure's own), with their units.
var retryHeaders = []struct {
	name string
	unit time.Duration
}{{"Retry-After-Ms", time.Millisecond}, {"X-Ms-Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}}

// RetryAfter is the length of time that the answer asks for; 0 where it does not.
func RetryAfter(resp *http.Response) time.Duration {
	const longest = 24 * time.Hour
	for _, h := range retryHeaders {
		value := resp.Header.Get(h.name)
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			return time.Duration(min(n, uint64(longest/h.unit))) * h.unit
		}
		if at, err := http.ParseTime(value); err == nil {
			return min(max(time.Until(at), 0), longest)
		}
	}
	return 0
}

// normalizeRetryAfter puts the one form that azcore reads without error in the place of all.
func normalizeRetryAfter(resp *http.Response) {
	d := RetryAfter(resp)
	for _, h := range retryHeaders {
		resp.Header.Del(h.name)
	}
	if d > 0 {
		resp.Header.Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
	}
}

// ProxyError is the answer of a proxy that does not connect.
type ProxyError struct {
	Status         int
	HasCredentials bool // it was told a user
}

func (e *ProxyError) Error() string {
	return fmt.Sprintf(
		"the proxy that $HTTPS_PROXY names refused to connect: HTTP status %d",
		e.Status,
	)
}

// PermanentError ends the tries.
type PermanentError struct{ error }

func NewPermanentError(format string, args ...any) error {
	return &PermanentError{fmt.Errorf(format, args...)}
}

func (e *PermanentError) Unwrap() error { return e.error }

// NonRetriable implements azcore's marker for its retry policy.
func (*PermanentError) NonRetriable() {}
