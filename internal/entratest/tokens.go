package entratest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A grant is one way to a token. Its file declares it, and [New] puts it under its grant_type.
type grant struct {
	parameters []string // that may be in the form, grant_type included
	shared     bool     // people of every tenant may use it, at the shared endpoints too
	// check looks at the request as Entra does and fills in its app and resource; the code of a refusal, or 0.
	check func(*Server, *tokenRequest) int
}

// A tokenRequest is one POST to a token endpoint and what is found out about it on the way.
type tokenRequest struct {
	form      url.Values
	host      string // that was asked
	asked     string // the tenant as the path names it
	tenant    string // its GUID; "" at a shared endpoint until the person is known
	app       App
	proof     string         // how the app proved itself, as appidacr says it: "1" with a secret, "2", which "" means too, with a key
	user      *User          // whom the token is for; nil: for the app itself
	resource  string         // the audience of the token
	key       map[string]any // the cnf claim of a PoP token; nil for a bearer token
	assertion assertion
	facts     map[string]string // words for the texts of refusals
}

const tokenProxyPrefix = "/token-proxy"

// TokenProxyURL is what AZURE_KUBERNETES_TOKEN_PROXY is set to: an AKS identity-binding proxy with a listener and a
// certificate authority of its own, in front of the same Entra ID.
func (s *Server) TokenProxyURL() string { return s.tokenProxyURL }

func (s *Server) serveTokenProxy(w http.ResponseWriter, r *http.Request) {
	s.countRequest(r)
	if !strings.HasPrefix(r.URL.Path, tokenProxyPrefix+"/") || r.Host != wellKnown[0] {
		s.serveUnknown(w, r)
		return
	}
	http.StripPrefix(tokenProxyPrefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.route(w, r.WithContext(context.WithValue(r.Context(), tokenProxyKey{}, true)), r.Host)
	})).ServeHTTP(w, r)
}

// tokenProxyKey is the context key that marks requests which came through the token proxy.
type tokenProxyKey struct{}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	held, delay, failure := s.arrive(r.Context().Value(tokenProxyKey{}) != nil)
	// Read before anything waits: only then does net/http notice a client that goes away.
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	formErr := r.ParseForm()
	t := newTokenRequest(r, r.PostForm)
	s.seeAssertions(t.form["client_assertion"])
	s.record(t, "token")
	if !s.wait(r, held, delay) {
		panic(http.ErrAbortHandler)
	}
	refuse := func(code, status int) { s.refuse(w, r, code, status, t.facts) }
	g, ok := s.wellFormed(w, r, t, formErr)
	if !ok {
		return
	}
	if failure != nil && failure.wire == nil {
		failure.send(w, r, refuse)
		return
	}
	for _, check := range []func(*Server, *tokenRequest) int{tenantCheck(g.shared), checkKey, g.check} {
		if code := check(s, t); code != 0 {
			refuse(code, 0)
			return
		}
	}
	if failure != nil {
		s.answerOnWire(w, failure.wire, t)
		return
	}
	s.answer(w, t)
}

// wait is false when the client went away, or the server, before the request may go on.
func (s *Server) wait(r *http.Request, held <-chan struct{}, delay time.Duration) bool {
	var later <-chan time.Time
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		later = timer.C
	}
	for held != nil || later != nil {
		select {
		case <-held:
			held = nil
		case <-later:
			later = nil
		case <-r.Context().Done():
			return false
		case <-s.closed:
			return false
		}
	}
	return true
}

func newTokenRequest(r *http.Request, form url.Values) *tokenRequest {
	t := &tokenRequest{form: form, host: r.Host, asked: r.PathValue("tenant")}
	t.facts = map[string]string{
		"parameter": "client_id",
		"signature": "Client assertion failed signature validation.",
		"reason":    "The key was not found.",
		"keys":      "",
		"redirect":  form.Get("redirect_uri"),
		"state":     "unmanaged",
		"issued":    ticks(time.Now().Add(-time.Hour)),
		"resource":  "",
		"tenant":    t.asked,
		"client":    form.Get("client_id"),
		"grant":     form.Get("grant_type"),
		"scope":     form.Get("scope"),
		"now":       ticks(time.Now()),
	}
	if scope := resourceScopes(form.Get("scope")); len(scope) > 0 {
		t.facts["scope"] = scope[0]
		t.facts["resource"], _, _ = cutLast(scope[0], "/")
	}
	t.setAssertion(form.Get("client_assertion"))
	return t
}

// gone tells whether the client has gone away. The connection may learn of that a moment after the body.
func gone(r *http.Request) bool {
	select {
	case <-r.Context().Done():
		return true
	case <-time.After(time.Second):
		return false
	}
}

// wellFormed reports and refuses what no client sends. ok is false when the request has been answered.
func (s *Server) wellFormed(w http.ResponseWriter, r *http.Request, t *tokenRequest, formErr error) (g grant, ok bool) {
	if formErr != nil && gone(r) { // killed between a request's head and its end
		return g, false
	}
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || contentType != "application/x-www-form-urlencoded" || formErr != nil {
		s.unexpected("token request with Content-Type %q, form error %v", r.Header.Get("Content-Type"), formErr)
		t.facts["parameter"] = "grant_type"
		s.refuse(w, r, 900144, 0, t.facts)
		return g, false
	}
	name := t.form.Get("grant_type")
	if name == "" {
		s.unexpected("token request without grant_type")
		t.facts["parameter"] = "grant_type"
		s.refuse(w, r, 900144, 0, t.facts)
		return g, false
	}
	g, ok = s.grants[name]
	if !ok {
		s.unexpected("token request with grant_type %q", name)
		s.refuse(w, r, 70003, 0, t.facts)
		return g, false
	}
	return g, s.onlyParameters(w, r, r.URL.Query()) && s.onlyParameters(w, r, t.form, g.parameters...)
}

// tenantCheck fills in the tenant. The shared endpoints are no tenants: an app-only token always belongs to one, and a
// person's to his own.
func tenantCheck(people bool) func(*Server, *tokenRequest) int {
	return func(s *Server, t *tokenRequest) int {
		switch {
		case people && shared(t.asked):
			return 0
		case shared(t.asked), t.asked == "consumers":
			return 50059
		}
		id, name, ok := s.findTenant(t.asked)
		if !ok {
			return 90002
		}
		t.tenant = id
		t.facts["tenant"] = name
		return 0
	}
}

// answer issues an access token for the app and resource of a request that passed.
func (s *Server) answer(w http.ResponseWriter, t *tokenRequest) {
	s.mu.Lock()
	life, refreshIn := s.life, s.refreshIn
	s.mu.Unlock()
	token := s.accessToken(t, life)
	body := map[string]any{
		"token_type":     "Bearer",
		"expires_in":     int64(life / time.Second),
		"ext_expires_in": int64(life / time.Second),
		"access_token":   token,
	}
	if t.key != nil {
		body["token_type"] = "pop"
	}
	if t.user != nil {
		maps.Copy(body, s.personal(t, life))
	}
	if refreshIn != 0 {
		body["refresh_in"] = int64(refreshIn / time.Second)
	}
	s.mu.Lock()
	s.issued++
	s.tokens = append(s.tokens, token)
	s.mu.Unlock()
	w.Header().Set("x-ms-request-id", guid("trace", s.nextSerial()))
	writeJSON(w, http.StatusOK, body)
}

// accessToken signs a token of version 1.0, the version that AKS asks for. Like Entra's it is valid from five minutes
// ago, for API servers whose clock is behind.
func (s *Server) accessToken(t *tokenRequest, life time.Duration) string {
	k, n, now := entraKey(), s.nextSerial(), time.Now()
	claims := map[string]any{
		"aud": t.resource, "iss": tokenIssuer(t.tenant),
		"iat": now.Add(-5 * time.Minute).Unix(), "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(life).Unix(),
		"aio": opaque("aio", n), "appid": t.app.ClientID, "tid": t.tenant,
		"rh": "1." + opaque("rh "+t.tenant, 0), "uti": opaque("uti", n), "ver": "1.0",
	}
	groups := t.app.Groups
	if t.user != nil {
		groups = t.user.Groups
		maps.Copy(claims, t.user.accessClaims(t))
	} else {
		claims["appidacr"] = cmp.Or(t.proof, "2")
		claims["idp"], claims["idtyp"] = claims["iss"], "app"
		claims["oid"], claims["sub"] = t.app.ObjectID, t.app.ObjectID
	}
	if t.app.ResourceID != "" {
		claims["xms_mirid"] = t.app.ResourceID
	}
	if len(groups) > 0 {
		claims["groups"] = groups
	}
	if t.key != nil {
		claims["cnf"] = t.key
	}
	return s.sign(k.key, map[string]any{"typ": "JWT", "kid": k.kid, "x5t": k.kid}, claims)
}

// tokenIssuer is the issuer of version 1.0 tokens; it is the same in every cloud's host here.
func tokenIssuer(tenant string) string { return "https://sts.windows.net/" + tenant + "/" }

// Verify checks an access token as an API server would: signature, issuer, audience and validity. It returns its claims.
func (s *Server) Verify(accessToken, audience string) (map[string]any, error) {
	claims := jwt.MapClaims{}
	key := func(t *jwt.Token) (any, error) {
		if t.Header["kid"] != entraKey().kid {
			return nil, fmt.Errorf("unknown kid %v", t.Header["kid"])
		}
		return entraKey().key.Public(), nil
	}
	_, err := jwt.ParseWithClaims(accessToken, claims, key, jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
	if err != nil {
		return nil, fmt.Errorf("access token: %w", err)
	}
	tid, _ := claims["tid"].(string)
	if id, _, ok := s.findTenant(tid); !ok || claims["iss"] != tokenIssuer(id) {
		return nil, errors.New("access token: issuer and tenant are not ours")
	}
	return claims, nil
}
