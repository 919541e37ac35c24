package entra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/akslogin/akslogin/token/internal/redact"
)

const maxResponse = 1 << 20 // bytes of a response's body, and of its header

// readResponse reads the whole body of resp and closes it. It refuses redirects and bodies of more
// than maxResponse bytes.
func readResponse(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK {
		// After 101 the body is the connection itself, and a context does not end reading from it.
		return nil, NewPermanentError(
			"the answer changes to another protocol (%d), which was not asked for", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the connection broke before the answer was complete: %w", err)
	case len(body) > maxResponse:
		return nil, NewPermanentError("the answer has more than %d bytes", maxResponse)
	case isRedirect(resp):
		return nil, NewPermanentError("the answer is a redirect (%d) to %s, "+
			"and a credential is not sent to a second address",
			resp.StatusCode, redact.Excerpt(redirectTarget(resp)))
	}
	return body, nil
}

// isTruncated reports whether body ends in the middle of its JSON, and only the end of the
// connection marks the end of the body.
func isTruncated(resp *http.Response, body []byte) bool {
	if resp.ProtoMajor != 1 || resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0 {
		return false
	}
	var syntax *json.SyntaxError
	err := json.Unmarshal(body, new(any))
	return errors.As(err, &syntax) && syntax.Offset == int64(len(body))
}

// withBody makes resp the response to req, with a body in memory.
func withBody(req *http.Request, resp *http.Response, body []byte) *http.Response {
	resp.Request = req
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp
}

// noRedirects moves the Location header of a redirect to redirectHeader, so that http.Client does
// not see it. http.Client would follow the redirect. If it could not parse the address, it would
// fail with an error that quotes the address and that is retried.
type noRedirects struct{ next http.RoundTripper }

const redirectHeader = "Akslogin-Led-To"

// RoundTrip implements http.RoundTripper.
func (t noRedirects) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err == nil && isRedirect(resp) && resp.Header.Get("Location") != "" {
		resp.Header.Set(redirectHeader, resp.Header.Get("Location"))
		resp.Header.Del("Location")
	}
	return resp, err
}

func isRedirect(resp *http.Response) bool { return resp.StatusCode >= 300 && resp.StatusCode < 400 }

// redirectTarget returns scheme and host of the address that a redirect leads to, for messages.
func redirectTarget(resp *http.Response) string {
	location := resp.Header.Get(redirectHeader)
	if location == "" {
		return "no address"
	}
	u, err := resp.Request.URL.Parse(location)
	if err != nil {
		return "an invalid address"
	}
	return u.Scheme + "://" + u.Host
}
