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

// RequestTimeout is the timeout of a single request, without its retries. After a timeout, that of
// the next try is longer if the deadline allows: see tryTimeout.
const RequestTimeout = 10 * time.Second

// TryTimeoutError says that one try got no answer within its own timeout, before the deadline of
// all tries.
type TryTimeoutError struct{ Timeout time.Duration }

func (e *TryTimeoutError) Error() string {
	return fmt.Sprintf("no answer within %s, the limit of one try", e.Timeout.Round(time.Second))
}

// tryTimeout returns the timeout of a try. A broken connection should be left soon, so the first
// one is RequestTimeout. If the last try has timed out, the server may just be slow: the next one
// gets a third of the time until the deadline, if that is more.
func tryTimeout(ctx context.Context, last error) time.Duration {
	deadline, bounded := ctx.Deadline()
	if !bounded || !errors.As(last, new(*TryTimeoutError)) {
		return RequestTimeout
	}
	return max(time.Until(deadline)/3, RequestTimeout)
}

// try sends a request once, within a timeout of its own, and records its outcome. send reads the
// whole response.
func (o *Outcome) try(req *http.Request, send func(*http.Request) (*http.Response, error)) (
	*http.Response, error,
) {
	timeout := tryTimeout(req.Context(), o.Err)
	o.Begin(req.URL.Scheme + "://" + req.URL.Host + "/")
	ctx, cancel := context.WithTimeout(req.Context(), timeout)
	defer cancel()
	resp, err := send(req.WithContext(ctx))
	if errors.Is(err, context.DeadlineExceeded) && req.Context().Err() == nil {
		err = &TryTimeoutError{timeout}
	}
	o.Err = err
	return resp, err
}

// shouldRetry reports whether azcore may send a request again that ended with resp or err. It
// reports false if the failure is permanent, or if the server asks for a delay that ctx does not
// allow.
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

// IsTransientStatus reports whether a later attempt may succeed after this HTTP status.
func IsTransientStatus(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests ||
		status >= 500
}

func isPermanent(err error) bool {
	var (
		permanent   *PermanentError
		proxy       *ProxyError
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
	)
	if errors.As(err, &proxy) {
		return proxy.Status < 500
	}
	return errors.As(err, &permanent) || errors.As(err, &certificate) ||
		(errors.As(err, &dns) && dns.IsNotFound)
}

// retryHeaders are the headers with which a server asks for a delay before the next request, by
// precedence, with the unit of a plain number. Retry-After is RFC 9110, section 10.2.3; the others
// are Azure's own.
var retryHeaders = []struct {
	name string
	unit time.Duration
}{
	{"Retry-After-Ms", time.Millisecond},
	{"X-Ms-Retry-After-Ms", time.Millisecond},
	{"Retry-After", time.Second},
}

// RetryAfter returns the delay that a response asks for: a day at most, and 0 if it asks for none.
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

// normalizeRetryAfter replaces all retry headers of resp with a Retry-After header in seconds, the
// only form that azcore always reads correctly.
func normalizeRetryAfter(resp *http.Response) {
	d := RetryAfter(resp)
	for _, h := range retryHeaders {
		resp.Header.Del(h.name)
	}
	if d > 0 {
		resp.Header.Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
	}
}
