package entra

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

const maxRetries = 3

// RequestTimeout is the timeout of a single request, without its retries.
const RequestTimeout = 10 * time.Second

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
