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

// A tokenRequest is one POST to a token endpoint and what is found out about it on the way.
type tokenRequest struct {
	form            url.Values
	host            string // that was asked
	requestedTenant string // the tenant as the path names it
	tenant          string // its GUID; "" at a shared endpoint until the person is known
	app             App
	appIDACR        string         // how the app proved itself, as appidacr says it: "1" with a secret, "2", which "" means too, with a key
	user            *User          // whom the token is for; nil: for the app itself
	resource        string         // the audience of the token
	cnf             map[string]any // the cnf claim of a PoP token; nil for a bearer token
	assertion       assertion
	placeholders    map[string]string // words for the texts of refusals
}

func newTokenRequest(r *http.Request, form url.Values) *tokenRequest {
	t := &tokenRequest{form: form, host: r.Host, requestedTenant: r.PathValue("tenant")}
	t.placeholders = map[string]string{
		"parameter": "client_id",
		"signature": "Client assertion failed signature validation.",
		"reason":    "The key was not found.",
		"keys":      "",
		"redirect":  form.Get("redirect_uri"),
		"state":     "unmanaged",
		"issued":    formatTicks(time.Now().Add(-time.Hour)),
		"resource":  "",
		"tenant":    t.requestedTenant,
		"client":    form.Get("client_id"),
		"grant":     form.Get("grant_type"),
		"scope":     form.Get("scope"),
		"now":       formatTicks(time.Now()),
	}
	if scope := resourceScopes(form.Get("scope")); len(scope) > 0 {
		t.placeholders["scope"] = scope[0]
		t.placeholders["resource"], _, _ = cutLast(scope[0], "/")
	}
	t.setAssertion(form.Get("client_assertion"))
	return t
}

// An assertion is a federated token as it was received, read but not yet believed.
type assertion struct {
	raw                string
	wellFormed         bool // it is a JWT with what Entra wants in a federated one
	header             map[string]any
	jti                string // jti
	issuer, subject    string
	audience           []string
	kid                string
	issuedAt           time.Time
	validFrom, expires time.Time
}

// setAssertion reads an assertion, "" for none, and takes from it what refusals quote.
func (t *tokenRequest) setAssertion(raw string) {
	a := readAssertion(raw)
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

// readAssertion is stricter than package jwt, which takes white space in the last part and does
// without claims.
func readAssertion(raw string) assertion {
	a := assertion{raw: raw}
	for part := range strings.SplitSeq(raw, ".") {
		if _, err := base64.RawURLEncoding.Strict().
			DecodeString(part); err != nil || part == "" ||
			strings.ContainsAny(part, "\r\n") {
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
		len(a.audience) == 1 &&
		claims.ExpiresAt != nil &&
		claims.IssuedAt != nil
	return a
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// formatTicks writes a time as Entra's texts do.
func formatTicks(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// resourceScopes are the words of a scope without OpenID Connect's own.
func resourceScopes(scope string) []string {
	return slices.DeleteFunc(strings.Fields(scope), func(word string) bool {
		return slices.Contains([]string{"openid", "offline_access", "profile"}, word)
	})
}

// tokenProxyKey is the context key that marks requests which came through the token proxy.
type tokenProxyKey struct{}
