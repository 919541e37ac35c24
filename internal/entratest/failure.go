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

// A Failure is what a request meets in place of its proper answer. The first of Hang, Break,
// Redirect and AADSTS that is set decides; without any, Body is sent as it is.
type Failure struct {
	Status    int         // 0: 200 for a Body, the code's own for an AADSTS
	Header    http.Header // added to the answer, Retry-After for one
	Body      string      // application/json, or text/html when it begins with '<'
	AADSTS    int         // Entra's own refusal with that code, its text filled with the values of the request
	Hang      bool        // nothing comes until the client goes away
	Break     Break
	Redirect  string    // 307 to this URL
	connFault ConnFault // see [Server.FailNextConn]
}

// A Break is a way in which a connection ends too early.
type Break int

// BreakConnection closes the connection before an answer. BreakBody announces more bytes than it
// sends, which are the Failure's Body or the beginning of a proper token answer, and closes the
// connection then; of an HTTP/2 connection it resets the stream only.
const (
	BreakConnection Break = iota + 1
	BreakBody
)

// failureCycle is what [Server.FailEvery] set.
type failureCycle struct {
	n, seen  int
	failures []Failure
}

// next counts a request, and returns its failure if it meets one. Called with mu held.
func (r *failureCycle) next() *Failure {
	if len(r.failures) == 0 {
		return nil
	}
	if r.seen++; r.seen%r.n != 0 {
		return nil
	}
	return &r.failures[(r.seen/r.n-1)%len(r.failures)]
}

func repeatFailure(n int, f Failure) []Failure {
	f.Header = f.Header.Clone()
	return slices.Repeat([]Failure{f}, n)
}

// popFailure takes the first failure off a queue. Called with mu held.
func popFailure(queue *[]Failure) *Failure {
	if len(*queue) == 0 {
		return nil
	}
	f := (*queue)[0]
	*queue = (*queue)[1:]
	return &f
}

// send answers with the failure. refuse writes Entra's refusal with a code, which only the token
// endpoint can.
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

func (f *Failure) sendBody(w http.ResponseWriter, body string, announced int) {
	contentType := "application/json; charset=utf-8"
	if strings.HasPrefix(body, "<") {
		contentType = "text/html; charset=utf-8"
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", contentType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(announced))
	w.WriteHeader(max(f.Status, http.StatusOK))
	io.WriteString(w, body) // fails only when the client is gone
}

func (f *Failure) sendTruncated(w http.ResponseWriter) {
	body := f.Body
	if body == "" {
		body = `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"eyJ0eXAiOiJKV1QiLCJhbGciOi`
	}
	f.sendBody(w, body, len(body)+1000)
	http.NewResponseController(w).Flush() // fails only when the client is gone
	// net/http ends what it began, in order. Closing an HTTP/2 connection here could overtake the
	// bytes on their way.
	panic(http.ErrAbortHandler)
}

// closeConnection ends the connection of a request, which under HTTP/2 is more than its stream,
// without a word of TLS.
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
