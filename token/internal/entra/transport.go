package entra

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"path"
	"sync/atomic"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// transport sends requests. What an answer must not do is refused here, before MSAL sees it: MSAL
// puts a body that it does not understand into its error, access token and all.
type transport struct {
	Client
	httpClient *http.Client
}

// Do implements policy.Transporter.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	*t.LastOutcome = Outcome{ServerURL: "https://" + req.URL.Host + "/"}
	resp, err := t.do(req)
	t.LastOutcome.Err = err
	return resp, err
}

func (t *transport) do(req *http.Request) (*http.Response, error) {
	if err := t.checkDestination(req.URL, req.Method); err != nil {
		return nil, err
	}
	ctx, done, unnamed := failOnResend(req.Context())
	defer done(nil)
	sent, err := cloneRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	t.TokenProxy.rewrite(sent)
	// What a server sends after its answer to a kept connection goes to the standard log, and may
	// hold a token.
	sent.Close = req.Method == http.MethodPost || req.Header.Get("Authorization") != ""
	t.LastOutcome.ServerURL = "https://" + sent.URL.Host + "/"
	resp, err := t.httpClient.Do(sent)
	if errors.Is(context.Cause(ctx), errNotProcessed) {
		err = errNotProcessed
	}
	if host := unnamed.Load(); host != nil && errors.Is(err, context.DeadlineExceeded) {
		err = nameLookupTimeout(*host, sent.URL.Hostname())
	}
	if err != nil {
		return nil, err
	}
	body, err := readResponse(resp)
	if err != nil {
		return nil, err
	}
	check := t.ResponseChecks[path.Base(req.URL.Path)]
	if req.Method == http.MethodGet {
		check = t.ResponseChecks[path.Dir(req.URL.Path)]
	}
	switch {
	case resp.StatusCode >= 400:
		t.LastOutcome.Refusal = readRefusal(resp, body)
	case check != nil && isTruncated(resp, body):
		return nil, fmt.Errorf("the answer broke off: %w", io.ErrUnexpectedEOF)
	case check != nil:
		if body, err = check(body); err != nil {
			return nil, NewPermanentError("%w", err)
		}
	}
	normalizeRetryAfter(resp)
	return withBody(req, resp, body), nil
}

// noRedirects hides where a redirect leads from http.Client, which would follow it, or quote an
// address that it cannot read in an error of its own, after which the request would be sent again.
type noRedirects struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s noRedirects) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(req)
	if err == nil && isRedirect(resp) && resp.Header.Get("Location") != "" {
		resp.Header.Set(redirectHeader, resp.Header.Get("Location"))
		resp.Header.Del("Location")
	}
	return resp, err
}

const redirectHeader = "Akslogin-Led-To"

func isRedirect(resp *http.Response) bool { return resp.StatusCode >= 300 && resp.StatusCode < 400 }

func redirectTarget(resp *http.Response) string {
	u, err := resp.Request.URL.Parse(resp.Header.Get(redirectHeader))
	switch {
	case resp.Header.Get(redirectHeader) == "":
		return "nowhere"
	case err != nil:
		return "what is no address"
	}
	return u.Scheme + "://" + u.Host
}

var errNotProcessed = errors.New("the server says that it has not begun with the request")

// failOnResend returns a context that ends when net/http sends its request a second time: under
// HTTP/2 it does so without a pause, and as often as the server takes none. It is for us to try
// again. unnamed is the host whose name is being looked up; nil: it is known.
func failOnResend(
	ctx context.Context,
) (_ context.Context, done context.CancelCauseFunc, unnamed *atomic.Pointer[string]) {
	ctx, done = context.WithCancelCause(ctx)
	var sent atomic.Bool
	unnamed = &atomic.Pointer[string]{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(i httptrace.DNSStartInfo) { unnamed.Store(&i.Host) },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			if i.Err == nil {
				unnamed.Store(nil)
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			if sent.Swap(true) {
				done(errNotProcessed)
			}
		},
	}), done, unnamed
}

// nameLookupTimeout is how a request ended that was still waiting for a name, the asked host's or a
// proxy's: net/http says only that time was up.
func nameLookupTimeout(host, asked string) error {
	err := &net.DNSError{Err: "no answer", Name: host, IsTimeout: true}
	if host == asked {
		return err
	}
	return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
}

// cloneRequest copies a request with its body, which net/http cannot get a second time. azcore
// gives all tries of a request one body, and net/http may still read that for a try which has been
// answered, when the next one sends it.
func cloneRequest(ctx context.Context, req *http.Request) (*http.Request, error) {
	sent := req.Clone(ctx)
	sent.GetBody = nil
	if req.Body == nil {
		return sent, nil
	}
	body, err := io.ReadAll(req.Body)
	sent.Body = io.NopCloser(bytes.NewReader(body))
	return sent, err
}

// isTruncated tells whether an answer ends in the midst of its JSON, where nothing but the
// connection's end says that it does.
func isTruncated(resp *http.Response, body []byte) bool {
	var syntax *json.SyntaxError
	endless := resp.ProtoMajor == 1 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
	return endless && errors.As(json.Unmarshal(body, new(any)), &syntax) &&
		syntax.Offset == int64(len(body))
}

// readResponse reads a whole answer, which must not be endless and not send the asker elsewhere,
// and closes it.
func readResponse(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK { // 101: what follows is the connection, which no context ends
		return nil, NewPermanentError(
			"the answer changes to another protocol (%d), which was not asked for",
			resp.StatusCode,
		)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer broke off: %w", err)
	case len(body) > maxResponse:
		return nil, NewPermanentError("the answer has more than %d bytes", maxResponse)
	case isRedirect(resp):
		return nil, NewPermanentError(
			"the answer is a redirect (%d) to %s, and a credential is not sent to a second address",
			resp.StatusCode,
			redact.Excerpt(redirectTarget(resp)),
		)
	}
	return body, nil
}
