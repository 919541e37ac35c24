package entratest

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"time"
)

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	held, delay, failure := s.admitTokenRequest(r.Context().Value(tokenProxyKey{}) != nil)
	// Read before anything waits: only then does net/http notice a client that goes away.
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	formErr := r.ParseForm()
	t := newTokenRequest(r, r.PostForm)
	s.recordAssertions(t.form["client_assertion"])
	s.logOAuthRequest(t, "token")
	if !s.waitDelay(r, held, delay) {
		panic(http.ErrAbortHandler)
	}
	refuse := func(code, status int) { s.refuse(w, r, code, status, t.placeholders) }
	g, ok := s.checkTokenRequest(w, r, t, formErr)
	if !ok {
		return
	}
	if failure != nil && failure.connFault == nil {
		failure.send(w, r, refuse)
		return
	}
	for _, check := range []func(*Server, *tokenRequest) int{tenantCheck(g.sharedTenants), checkPoPKey, g.check} {
		if code := check(s, t); code != 0 {
			refuse(code, 0)
			return
		}
	}
	if failure != nil {
		s.issueTokenWithFault(w, failure.connFault, t)
		return
	}
	s.issueToken(w, t)
}

// checkTokenRequest reports and refuses what no client sends. ok is false when the request has been
// answered.
func (s *Server) checkTokenRequest(
	w http.ResponseWriter,
	r *http.Request,
	t *tokenRequest,
	formErr error,
) (g grant, ok bool) {
	if formErr != nil && clientGone(r) { // killed between a request's head and its end
		return g, false
	}
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || contentType != "application/x-www-form-urlencoded" || formErr != nil {
		s.unexpected(
			"token request with Content-Type %q, form error %v",
			r.Header.Get("Content-Type"),
			formErr,
		)
		t.placeholders["parameter"] = "grant_type"
		s.refuse(w, r, 900144, 0, t.placeholders)
		return g, false
	}
	name := t.form.Get("grant_type")
	if name == "" {
		s.unexpected("token request without grant_type")
		t.placeholders["parameter"] = "grant_type"
		s.refuse(w, r, 900144, 0, t.placeholders)
		return g, false
	}
	g, ok = grants()[name]
	if !ok {
		s.unexpected("token request with grant_type %q", name)
		s.refuse(w, r, 70003, 0, t.placeholders)
		return g, false
	}
	return g, s.onlyParameters(w, r, r.URL.Query()) &&
		s.onlyParameters(w, r, t.form, g.parameters...)
}

// clientGone tells whether the client has gone away. The connection may learn of that a moment
// after the body.
func clientGone(r *http.Request) bool {
	select {
	case <-r.Context().Done():
		return true
	case <-time.After(time.Second):
		return false
	}
}

// admitTokenRequest counts a token request and says what it has to wait for and, when not nil, the
// failure it meets.
func (s *Server) admitTokenRequest(
	viaTokenProxy bool,
) (held <-chan struct{}, delay time.Duration, f *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenRequests++
	if viaTokenProxy {
		s.tokenProxyRequests++
	}
	s.wakeWaiters()
	if f = popFailure(&s.failures); f == nil {
		f = s.failEvery.next()
	}
	return s.release, s.delay, f
}

// grants are all that the server knows, by grant_type.
func grants() map[string]grant {
	return map[string]grant{
		"client_credentials": clientCredentialsGrant,
		"device_code":        deviceCodeGrant, // so MSAL calls it, after Entra's older endpoint
		"urn:ietf:params:oauth:grant-type:device_code": deviceCodeGrant,
		"refresh_token":      refreshTokenGrant,
		"password":           passwordGrant,
		"authorization_code": authorizationCodeGrant,
	}
}

// issueTokenWithFault sends a granted answer by way of w.
func (s *Server) issueTokenWithFault(w http.ResponseWriter, wire ConnFault, t *tokenRequest) {
	r := &responseBuffer{header: http.Header{}}
	s.issueToken(r, t)
	good := bytes.NewBufferString("HTTP/1.1 200 OK\r\n")
	r.header.Set("Content-Length", fmt.Sprint(r.Len()))
	r.header.Set("Connection", "close")
	r.header.Write(good) // to memory
	good.WriteString("\r\n")
	good.Write(r.Bytes())
	s.runConnFault(w, wire, good.Bytes())
}

// responseBuffer is an answer in memory.
type responseBuffer struct {
	bytes.Buffer
	header http.Header
	status int
}

func (r *responseBuffer) Header() http.Header { return r.header }

func (r *responseBuffer) WriteHeader(status int) { r.status = status }
