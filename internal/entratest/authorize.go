package entratest

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// authorizeParameters are the known parameters of the authorize endpoint:
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
var authorizeParameters = []string{
	"client_id",
	"client_info",
	"code_challenge",
	"code_challenge_method",
	"domain_hint",
	"login_hint",
	"prompt",
	"redirect_uri",
	"response_mode",
	"response_type",
	"scope",
	"state",
}

// serveAuthorize is the authorization endpoint, RFC 6749 section 3.1. It shows the sign-in form
// every time: there are no sessions of browsers.
func (s *Server) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	t := newTokenRequest(r, r.URL.Query())
	s.mu.Lock()
	s.authorizeRequests++
	s.wakeWaiters()
	s.mu.Unlock()
	s.logOAuthRequest(t, "authorize")
	if !s.onlyParameters(w, r, t.form, authorizeParameters...) {
		return
	}
	if code := authorizeChecks.run(s, t); code != 0 {
		s.refusePage(w, t, code)
		return
	}
	flow := &signIn{
		request: t,
		Title:   "Sign in to your account",
		Tenant:  t.requestedTenant,
		Hint:    t.form.Get("login_hint"),
	}
	switch t.form.Get("prompt") {
	case "", "login", "select_account", "consent":
		s.startSignIn(flow)
		writePage(w, http.StatusOK, signInPage, flow)
	case "none":
		s.redirect(w, r, flow, s.refusedResponse(t, 50058))
	default:
		s.refusePage(w, t, 90023)
	}
}

var authorizeChecks = checks{
	tenantCheck(true), checkPublicClient, checkRedirect, checkAuthorization, checkDelegatedScope,
}

// checkRedirect requires a redirect to a loopback address, as for public clients in RFC 8252
// section 7.3.
func checkRedirect(_ *Server, t *tokenRequest) int {
	u, err := url.Parse(t.form.Get("redirect_uri"))
	if err != nil || u.Scheme != "http" || u.Hostname() != "localhost" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return 50011
	}
	return 0
}

// authorizeValues are the valid values of parameters of the authorize endpoint.
var authorizeValues = map[string][]string{
	"response_type":         {"code"},
	"response_mode":         {"", "query", "fragment", "form_post"},
	"code_challenge_method": {"S256"},
	"client_info":           {"", "1"},
}

// checkAuthorization reports and refuses requests that a well-behaved client does not send.
func checkAuthorization(s *Server, t *tokenRequest) int {
	for name, valid := range authorizeValues {
		if value := t.form.Get(name); !slices.Contains(valid, value) {
			s.unexpected("authorize with %s %q", name, value)
			return 9002313
		}
	}
	challenge, state := t.form.Get("code_challenge"), t.form.Get("state")
	if len(challenge) != 43 || state == "" {
		s.unexpected("authorize with code_challenge %q and state %q", challenge, state)
		return 9002313
	}
	return 0
}

// startSignIn gives a sign-in its flow token.
func (s *Server) startSignIn(flow *signIn) {
	flow.Flow = "A" + opaque("flow", s.nextSerial())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signIns == nil {
		s.signIns, s.codes = map[string]*signIn{}, map[string]*authorization{}
	}
	s.signIns[flow.Flow] = flow
}

// serveLogin handles the submitted sign-in form. After a wrong password it shows the form again,
// with Entra's message.
func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		s.unexpected("sign-in form: %v", err)
	}
	f := r.PostForm
	s.recordSecrets(f["passwd"]...)
	if !s.onlyParameters(w, r, r.URL.Query()) ||
		!s.onlyParameters(w, r, f, "action", "flow", "login", "passwd") {
		return
	}
	s.mu.Lock()
	flow := s.signIns[f.Get("flow")]
	s.mu.Unlock()
	if flow == nil || flow.request.requestedTenant != r.PathValue("tenant") {
		s.refusePage(w, newTokenRequest(r, f), 50089)
		return
	}
	t := *flow.request // a copy, since the user may try more than once
	if f.Get("action") == "cancel" {
		s.finishSignIn(flow)
		s.redirect(w, r, flow, url.Values{
			"error":             {"access_denied"},
			"error_subcode":     {"cancel"},
			"error_description": {"the user canceled the authentication"},
		})
		return
	}
	name, password := strings.TrimSpace(f.Get("login")), f.Get("passwd")
	if code := s.setUserByPassword(&t, name, password); code != 0 {
		retry, text := *flow, fillPlaceholders(refusals[code].text, t.placeholders)
		retry.Hint, retry.Code = f.Get("login"), code
		retry.Error = cmp.Or(signInMessages[code], text)
		writePage(w, http.StatusOK, signInPage, &retry)
		return
	}
	if !s.finishSignIn(flow) {
		s.refusePage(w, &t, 50089)
		return
	}
	code := s.newCode(&authorization{
		user:        t.user.Name,
		client:      strings.ToLower(t.app.ClientID),
		redirectURI: t.form.Get("redirect_uri"),
		challenge:   t.form.Get("code_challenge"),
	})
	response := url.Values{"code": {code}, "session_state": {guid("session of "+flow.Flow, 0)}}
	if t.form.Get("client_info") == "1" {
		response.Set("client_info", t.user.clientInfo())
	}
	s.redirect(w, r, flow, response)
}

// finishSignIn makes the flow token of a sign-in invalid. It returns false if it was invalid
// before.
func (s *Server) finishSignIn(flow *signIn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, open := s.signIns[flow.Flow]
	delete(s.signIns, flow.Flow)
	return open
}

// signInMessages are the messages that Entra's form shows instead of the texts of errors, by AADSTS
// code.
var signInMessages = map[int]string{
	50034: "This username may be incorrect. Make sure you typed it correctly. Otherwise, contact your admin.",
	50053: "Your account is temporarily locked to prevent unauthorized use. Try again later, and if you still have trouble, contact your admin.",
	50057: "Your account has been locked. Contact your support person to unlock it, then try again.",
	50126: "Your account or password is incorrect. If you don't remember your password, reset it now.",
}

// refusedResponse returns the error response of RFC 6749 section 4.1.2.1.
func (s *Server) refusedResponse(t *tokenRequest, code int) url.Values {
	e := refusals[code]
	text := fmt.Sprintf("AADSTS%d: %s", code, fillPlaceholders(e.text, t.placeholders))
	return url.Values{"error": {e.oauthError}, "error_description": {text}}
}

// redirect sends the browser back to the client with a response, in the requested response_mode.
func (s *Server) redirect(
	w http.ResponseWriter, r *http.Request, flow *signIn, response url.Values,
) {
	f := flow.request.form
	response.Set("state", f.Get("state"))
	target := f.Get("redirect_uri")
	switch f.Get("response_mode") {
	case "form_post":
		data := map[string]any{"Target": target, "Response": response}
		writePage(w, http.StatusOK, formPostPage, data)
	case "fragment":
		http.Redirect(w, r, target+"#"+response.Encode(), http.StatusFound)
	default:
		http.Redirect(w, r, target+"?"+response.Encode(), http.StatusFound)
	}
}

// refusePage shows an error page. Entra does so instead of a redirect when it cannot trust the
// client's redirect URI.
func (s *Server) refusePage(w http.ResponseWriter, t *tokenRequest, code int) {
	w.Header().Set("x-ms-request-id", guid("trace", s.nextSerial()))
	writePage(w, http.StatusBadRequest, refusalPage, &signIn{
		Title: "Sorry, but we’re having trouble signing you in.",
		Code:  code,
		Error: fillPlaceholders(refusals[code].text, t.placeholders),
	})
}

// pageTemplates are minimal. The only script is the one that form_post needs, and a page loads
// nothing else, not even an icon. The Enter key presses the first button of a form.
var pageTemplates = template.Must(template.New("").Parse(`{{define "head"}}<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.}}</title><link rel="icon" href="data:,"></head><body>
{{end}}{{define "signIn"}}{{template "head" .Title}}<h1>{{.Title}}</h1>
<form id="form" method="post" action="/{{.Tenant}}/login" novalidate>
<input type="hidden" name="flow" value="{{.Flow}}">
{{with .Error}}<p id="error" role="alert" data-code="{{$.Code}}">{{.}}</p>
{{end}}<p><input id="username" name="login" type="email" autocomplete="username" value="{{.Hint}}"></p>
<p><input id="password" name="passwd" type="password" autocomplete="current-password"></p>
<p><button id="signin" name="action" value="signin" type="submit">Sign in</button>
<button id="cancel" name="action" value="cancel" type="submit">Cancel</button></p>
</form></body></html>
{{end}}{{define "formPost"}}{{template "head" "Working..."}}<form id="form" method="post" action="{{.Target}}">
{{range $name, $values := .Response}}<input type="hidden" name="{{$name}}" value="{{index $values 0}}">
{{end}}<noscript><p>Script is disabled. Click Submit to continue.</p><button id="submit" type="submit">Submit</button></noscript>
</form><script>document.forms[0].submit()</script></body></html>
{{end}}{{define "refusal"}}{{template "head" .Title}}<h1>{{.Title}}</h1>
<p id="error" role="alert" data-code="{{.Code}}">AADSTS{{.Code}}: {{.Error}}</p></body></html>
{{end}}`))

const (
	signInPage   = "signIn"
	formPostPage = "formPost"
	refusalPage  = "refusal"
)

func writePage(w http.ResponseWriter, status int, page string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(status)
	pageTemplates.ExecuteTemplate(w, page, data) // fails only when the client is gone
}

// codeLifetime is the lifetime of authorization codes.
const codeLifetime = 10 * time.Minute

func (s *Server) newCode(a *authorization) string {
	n := s.nextSerial()
	code := "1.A" + opaque("code", n) + opaque("of "+a.user, n)
	a.expires = time.Now().Add(codeLifetime)
	s.mu.Lock()
	s.codes[code] = a
	s.mu.Unlock()
	s.recordSecrets(code)
	return code
}
