package entra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// transport sends requests for azcore and MSAL, and checks responses before they see them. MSAL
// quotes a body that it cannot parse in its error, with the access token in it.
type transport struct {
	authority  authority
	tokenProxy TokenProxy
	tokenType  string // as in Client
	outcome    *Outcome
	httpClient *http.Client
}

// Do sends one request and records its outcome. It implements policy.Transporter.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	return t.outcome.try(req, t.do)
}

func (t *transport) do(req *http.Request) (*http.Response, error) {
	if err := t.authority.checkDestination(req.URL, req.Method); err != nil {
		return nil, err
	}
	resp, body, err := t.send(req)
	if err != nil {
		return nil, err
	}
	check := responseCheck(req.Method, req.URL.Path, t.tokenType)
	switch {
	case resp.StatusCode >= 400:
		t.outcome.refuse(readRefusal(resp, body))
	case check != nil && isTruncated(resp, body):
		return nil, fmt.Errorf("the connection broke before the answer was complete: %w",
			io.ErrUnexpectedEOF)
	case check != nil:
		if body, err = check(body); err != nil {
			return nil, NewPermanentError("%w", err)
		}
	}
	normalizeRetryAfter(resp)
	return withBody(req, resp, body), nil
}

// send sends req once, through the token proxy if there is one, and reads the whole response.
func (t *transport) send(req *http.Request) (*http.Response, []byte, error) {
	ctx, cancel, lookup := failOnResend(req.Context())
	defer cancel(nil)
	sent, err := cloneRequest(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	t.tokenProxy.rewrite(sent)
	// If the connection stayed open, net/http would write whatever the server sends after its
	// response to the standard log. That may include a token.
	sent.Close = req.Method == http.MethodPost || req.Header.Get("Authorization") != ""
	t.outcome.ServerURL = "https://" + sent.URL.Host + "/"
	resp, err := t.httpClient.Do(sent)
	if errors.Is(context.Cause(ctx), errNotProcessed) {
		err = errNotProcessed
	}
	if host := lookup.Load(); host != nil && errors.Is(err, context.DeadlineExceeded) {
		err = nameLookupTimeout(*host, sent.URL.Hostname())
	}
	if err != nil {
		return nil, nil, err
	}
	body, err := readResponse(resp)
	return resp, body, err
}

var errNotProcessed = errors.New("the server reports that it has not processed the request")

// failOnResend returns a context for one request. It is canceled with errNotProcessed when net/http
// sends the request a second time. Under HTTP/2, net/http resends a request without a pause as long
// as the server does not process it. Here azcore is responsible for retries. lookup holds the host
// name whose DNS lookup has not finished, or nil.
func failOnResend(parent context.Context) (
	ctx context.Context, cancel context.CancelCauseFunc, lookup *atomic.Pointer[string],
) {
	ctx, cancel = context.WithCancelCause(parent)
	lookup = &atomic.Pointer[string]{}
	var sent atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(info httptrace.DNSStartInfo) { lookup.Store(&info.Host) },
		DNSDone: func(info httptrace.DNSDoneInfo) {
			if info.Err == nil {
				lookup.Store(nil)
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			if sent.Swap(true) {
				cancel(errNotProcessed)
			}
		},
	}), cancel, lookup
}

// nameLookupTimeout returns the error for a request that timed out during the DNS lookup of host.
// net/http would only report a timeout. host is the server's, or else a proxy's.
func nameLookupTimeout(host, server string) error {
	err := &net.DNSError{Err: "no answer", Name: host, IsTimeout: true}
	if host == server {
		return err
	}
	return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
}

// cloneRequest returns a copy of req with a body of its own that net/http cannot obtain a second
// time. azcore uses one body for all attempts of a request. net/http may still read the body of an
// attempt that has been answered when the next attempt sends it.
func cloneRequest(ctx context.Context, req *http.Request) (*http.Request, error) {
	clone := req.Clone(ctx)
	clone.GetBody = nil
	if req.Body == nil {
		rememberSecrets(req.Header, nil)
		return clone, nil
	}
	body, err := io.ReadAll(req.Body)
	rememberSecrets(req.Header, body)
	clone.Body = io.NopCloser(bytes.NewReader(body))
	return clone, err
}
