package entratest

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"time"
)

// serveToken is the token endpoint, RFC 6749 section 3.2.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	viaTokenProxy := r.Context().Value(tokenProxyKey{}) != nil
	a := s.admitTokenRequest(viaTokenProxy)
	failure := a.failure
	// The body is read before any wait: only then does net/http notice a client that goes away.
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	formErr := r.ParseForm()
	t := newTokenRequest(r, r.PostForm)
	s.recordAssertions(t.form["client_assertion"])
	s.logOAuthRequest(t, "token")
	if !s.waitDelay(r, a.release, a.delay) {
		panic(http.ErrAbortHandler)
	}
	refuse := func(code, status int) { s.refuse(w, r, code, status, t.placeholders) }
	g, ok := s.checkTokenRequest(w, r, t, formErr)
	if !ok {
		s.putFailureBack(a)
		return
	}
	if failure != nil && failure.connFault == nil {
		failure.send(w, r, refuse)
		return
	}
	checks := checks{tenantCheck(g.sharedTenants), checkPoPKey, g.check}
	if code := checks.run(s, t); code != 0 {
		s.putFailureBack(a)
		refuse(code, 0)
		return
	}
	if failure != nil {
		s.issueTokenWithFault(w, failure.connFault, t)
		return
	}
	s.issueToken(w, t)
}

// checkTokenRequest reports and refuses requests that a well-behaved client does not send. It
// returns the request's grant. If ok is false, it has answered or the client is gone.
func (s *Server) checkTokenRequest(
	w http.ResponseWriter, r *http.Request, t *tokenRequest, formErr error,
) (g grant, ok bool) {
	if formErr != nil && clientGone(r) { // killed before it sent the whole body
		return g, false
	}
	contentType := r.Header.Get("Content-Type")
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != "application/x-www-form-urlencoded" || formErr != nil {
		s.unexpected("token request with Content-Type %q, form error %v", contentType, formErr)
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

// clientGone reports whether the client has gone away. It waits a second, since net/http may notice
// that some time after the read of the body failed.
func clientGone(r *http.Request) bool {
	select {
	case <-r.Context().Done():
		return true
	case <-time.After(time.Second):
		return false
	}
}

// An admission is what a token request meets.
type admission struct {
	release <-chan struct{} // what it waits for, see [Server.Hold]
	delay   time.Duration
	failure *Failure // nil means none
	queued  bool     // failure was in the queue, and is not of [Server.FailEvery]
}

// admitTokenRequest counts a token request.
func (s *Server) admitTokenRequest(viaTokenProxy bool) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenRequests++
	if viaTokenProxy {
		s.tokenProxyRequests++
	}
	s.wakeWaiters()
	a := admission{release: s.release, delay: s.delay}
	if a.failure = popFailure(&s.failures); a.failure != nil {
		a.queued = true
	} else {
		a.failure = s.failEvery.next()
	}
	return a
}

// putFailureBack leaves the failure of a request that it does not apply to for the next request.
func (s *Server) putFailureBack(a admission) {
	if a.queued {
		s.set(func(st *settings) { st.failures = slices.Insert(st.failures, 0, *a.failure) })
	}
}

// grants returns the known grants by grant_type.
func grants() map[string]grant {
	return map[string]grant{
		"client_credentials": clientCredentialsGrant,
		"device_code":        deviceCodeGrant, // MSAL uses the name of Entra's older endpoint
		"urn:ietf:params:oauth:grant-type:device_code": deviceCodeGrant,
		"refresh_token":      refreshTokenGrant,
		"password":           passwordGrant,
		"authorization_code": authorizationCodeGrant,
	}
}

// issueTokenWithFault has fault send the response that [Server.issueToken] would send.
func (s *Server) issueTokenWithFault(w http.ResponseWriter, fault ConnFault, t *tokenRequest) {
	buffer := &responseBuffer{header: http.Header{}}
	s.issueToken(buffer, t)
	buffer.header.Set("Content-Length", fmt.Sprint(buffer.Len()))
	buffer.header.Set("Connection", "close")
	response := bytes.NewBufferString("HTTP/1.1 200 OK\r\n")
	buffer.header.Write(response)
	response.WriteString("\r\n")
	response.Write(buffer.Bytes())
	s.runConnFault(w, fault, response.Bytes())
}

// A responseBuffer is an [http.ResponseWriter] in memory. It ignores the status.
type responseBuffer struct {
	bytes.Buffer
	header http.Header
}

func (b *responseBuffer) Header() http.Header { return b.header }

func (b *responseBuffer) WriteHeader(int) {}
