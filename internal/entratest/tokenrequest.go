package entratest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A tokenRequest is a request to an OAuth endpoint, with what the checks find out about it.
type tokenRequest struct {
	form            url.Values
	host            string // the Host header
	requestedTenant string // the tenant as the path names it
	tenant          string // the tenant's GUID; "" at a shared endpoint until the user is known
	app             App
	appIDACR        string         // the appidacr claim: "1" for a secret, "2" or "" for a key
	user            *User          // the user that the token is for; nil for an app-only token
	resource        string         // the audience of the token
	cnf             map[string]any // the cnf claim of a PoP token; nil for a bearer token
	assertion       assertion
	placeholders    map[string]string // values for the texts of errors
}

func newTokenRequest(r *http.Request, form url.Values) *tokenRequest {
	t := &tokenRequest{form: form, host: r.Host, requestedTenant: r.PathValue("tenant")}
	t.placeholders = map[string]string{
		"correlation": r.Header.Get("client-request-id"),
		"parameter":   "client_id",
		"signature":   "Client assertion failed signature validation.",
		"reason":      "The key was not found.",
		"keys":        "",
		"redirect":    form.Get("redirect_uri"),
		"state":       "unmanaged",
		"issued":      formatTicks(time.Now().Add(-time.Hour)),
		"resource":    "",
		"tenant":      t.requestedTenant,
		"client":      form.Get("client_id"),
		"grant":       form.Get("grant_type"),
		"scope":       form.Get("scope"),
		"now":         formatTicks(time.Now()),
	}
	if scope := resourceScopes(form.Get("scope")); len(scope) > 0 {
		t.placeholders["scope"] = scope[0]
		t.placeholders["resource"], _, _ = cutLast(scope[0], "/")
	}
	t.setAssertion(form.Get("client_assertion"))
	return t
}

// An assertion is a client_assertion, parsed but not verified.
type assertion struct {
	raw                string
	wellFormed         bool // it is a JWT with all that Entra requires in a federated token
	header             map[string]any
	jti                string
	issuer, subject    string
	audience           []string
	kid                string
	issuedAt           time.Time
	validFrom, expires time.Time
}

// setAssertion parses an assertion, "" for none, and fills in the values that errors quote.
func (t *tokenRequest) setAssertion(raw string) {
	a := parseAssertion(raw)
	t.assertion = a
	t.placeholders["issuer"] = a.issuer
	t.placeholders["subject"] = a.subject
	t.placeholders["audience"] = strings.Join(a.audience, ",")
	t.placeholders["key"] = a.kid
	t.placeholders["issuedAt"] = strconv.FormatInt(a.issuedAt.Unix(), 10)
	t.placeholders["expiresAt"] = strconv.FormatInt(a.expires.Unix(), 10)
	t.placeholders["validFrom"] = formatTicks(a.validFrom)
	t.placeholders["expiry"] = formatTicks(a.expires)
}

// parseAssertion parses a JWT without verifying it. It is stricter than package jwt, which accepts
// white space in the last part, and missing claims.
func parseAssertion(raw string) assertion {
	a := assertion{raw: raw}
	for part := range strings.SplitSeq(raw, ".") {
		_, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || part == "" || strings.ContainsAny(part, "\r\n") {
			return a
		}
	}
	var claims jwt.RegisteredClaims
	t, _, err := jwt.NewParser().ParseUnverified(raw, &claims)
	if err != nil {
		return a
	}
	a.header, a.jti = t.Header, claims.ID
	a.kid, _ = t.Header["kid"].(string)
	a.issuer, a.subject, a.audience = claims.Issuer, claims.Subject, claims.Audience
	if claims.ExpiresAt != nil {
		a.expires = claims.ExpiresAt.Time
	}
	if claims.IssuedAt != nil {
		a.issuedAt = claims.IssuedAt.Time
	}
	a.validFrom = a.issuedAt
	if claims.NotBefore != nil {
		a.validFrom = claims.NotBefore.Time
	}
	a.wellFormed = t.Method == jwt.SigningMethodRS256 && a.issuer != "" && a.subject != "" &&
		len(a.audience) == 1 && claims.ExpiresAt != nil && claims.IssuedAt != nil
	return a
}

// cutLast is [strings.Cut] around the last instance of sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// formatTicks formats a time as Entra's texts do, in steps of 100 ns.
func formatTicks(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// resourceScopes returns the scopes in a scope parameter that are not OpenID Connect's.
func resourceScopes(scope string) []string {
	return slices.DeleteFunc(strings.Fields(scope), func(one string) bool {
		return slices.Contains([]string{"openid", "offline_access", "profile"}, one)
	})
}

// tokenProxyKey is the context key of requests that came through the token proxy.
type tokenProxyKey struct{}
