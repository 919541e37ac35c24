package entratest

import (
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A Failure replaces the proper response to a request. The first of Hang, Break, Redirect and
// AADSTS that is set decides what is sent; if none is, Body is. Failure{} sends status 200 with an
// empty body.
type Failure struct {
	Status    int         // 0 means 200 for Body, and the code's own status for AADSTS
	Header    http.Header // added to the response if there is one, for example Retry-After
	Body      string      // application/json, or text/html if it begins with '<'
	AADSTS    int         // sends Entra's error with this code, its text filled in from the request
	Hang      bool        // sends nothing until the client goes away or the server stops
	Break     Break
	Redirect  string    // redirects to this URL, always with status 307
	connFault ConnFault // see [Server.FailNextConn]
}

// A Break is a way in which a connection ends too early.
type Break int

const (
	// BreakConnection closes the connection before the response.
	BreakConnection Break = iota + 1

	// BreakBody announces more bytes than it sends, and then closes the connection; with HTTP/2 it
	// only resets the stream. It sends the Failure's Body, or the beginning of a token response.
	BreakBody
)

// failureCycle is the schedule that [Server.FailEvery] sets: every nth request meets the next of
// the failures, in turn.
type failureCycle struct {
	n, seen  int
	failures []Failure
}

// next counts a request. It returns the request's failure, or nil. Called with Server.mu held.
func (c *failureCycle) next() *Failure {
	if len(c.failures) == 0 {
		return nil
	}
	if c.seen++; c.seen%c.n != 0 {
		return nil
	}
	return &c.failures[(c.seen/c.n-1)%len(c.failures)]
}

// repeatFailure returns n copies of a failure that do not change with f.Header.
func repeatFailure(n int, f Failure) []Failure {
	f.Header = f.Header.Clone()
	return slices.Repeat([]Failure{f}, n)
}

// popFailure removes the first failure from a queue and returns it, or nil if the queue is empty.
// Called with Server.mu held.
func popFailure(queue *[]Failure) *Failure {
	if len(*queue) == 0 {
		return nil
	}
	f := (*queue)[0]
	*queue = (*queue)[1:]
	return &f
}

// send answers with the failure. It calls refuse to send Entra's error with a code, which only the
// token and devicecode endpoints can; at other endpoints refuse is nil.
func (f *Failure) send(w http.ResponseWriter, r *http.Request, refuse func(code, status int)) {
	maps.Copy(w.Header(), f.Header)
	switch {
	case f.Hang:
		<-r.Context().Done() // at the latest when the server closes its connections
		panic(http.ErrAbortHandler)
	case f.Break == BreakConnection:
		closeConnection(r)
	case f.Break == BreakBody:
		f.sendTruncated(w)
	case f.Redirect != "":
		w.Header().Set("Location", f.Redirect)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case f.AADSTS != 0:
		refuse(f.AADSTS, f.Status)
	default:
		f.sendBody(w, f.Body, len(f.Body))
	}
}

func (f *Failure) sendBody(w http.ResponseWriter, body string, contentLength int) {
	contentType := "application/json; charset=utf-8"
	if strings.HasPrefix(body, "<") {
		contentType = "text/html; charset=utf-8"
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", contentType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(contentLength))
	w.WriteHeader(max(f.Status, http.StatusOK))
	io.WriteString(w, body) // fails only when the client is gone
}

// truncatedToken is the beginning of a token response.
const truncatedToken = `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,` +
	`"access_token":"eyJ0eXAiOiJKV1QiLCJhbGciOi`

func (f *Failure) sendTruncated(w http.ResponseWriter) {
	body := f.Body
	if body == "" {
		body = truncatedToken
	}
	f.sendBody(w, body, len(body)+1000)
	http.NewResponseController(w).Flush() // fails only when the client is gone
	// The panic lets net/http end the response in order. Closing an HTTP/2 connection here could
	// overtake the bytes that were just written.
	panic(http.ErrAbortHandler)
}

// closeConnection closes the TCP connection of a request, without a TLS alert. With HTTP/2 that
// ends all streams, not only the request's.
func closeConnection(r *http.Request) {
	c := r.Context().Value(connKey{}).(net.Conn)
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	c.Close()
	panic(http.ErrAbortHandler)
}

// connKey is the context key of the connection that a request came on.
type connKey struct{}
