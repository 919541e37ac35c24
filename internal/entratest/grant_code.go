package entratest

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// authorizationCodeGrant is the grant of RFC 6749 section 4.1 with the proof key of RFC 7636, which
// Entra requires from public clients.
var authorizationCodeGrant = grant{
	parameters: slices.Concat([]string{
		"client_id",
		"client_info",
		"code",
		"code_verifier",
		"grant_type",
		"redirect_uri",
		"scope",
	}, popParameters),
	sharedTenants: true,
	check:         checks{checkPublicClient, checkCode, checkDelegatedScope}.run,
}

// checkCode redeems an authorization code, which is valid once, and fills in the user.
func checkCode(s *Server, t *tokenRequest) int {
	for _, name := range []string{"code", "redirect_uri"} {
		if t.form.Get(name) == "" {
			t.placeholders["parameter"] = name
			return 900144
		}
	}
	s.mu.Lock()
	a := s.codes[t.form.Get("code")]
	if a == nil {
		s.mu.Unlock()
		return 70000
	}
	t.placeholders["reply"] = a.redirectURI
	code := a.refusal(t)
	a.redeemed = a.redeemed || code == 0
	name := a.user
	s.mu.Unlock()
	if code != 0 {
		return code
	}
	return s.setUser(t, name)
}

// refusal returns the AADSTS code that refuses the authorization code for a request, or 0. Called
// with Server.mu held.
func (a *authorization) refusal(t *tokenRequest) int {
	challenge := sha256.Sum256([]byte(t.form.Get("code_verifier")))
	switch {
	case a.client != strings.ToLower(t.app.ClientID):
		return 70000
	case a.redeemed:
		return 54005
	case !time.Now().Before(a.expires):
		return 70008
	case a.redirectURI != t.form.Get("redirect_uri"):
		return 500112
	case t.form.Get("code_verifier") == "":
		return 50148
	case base64.RawURLEncoding.EncodeToString(challenge[:]) != a.challenge:
		return 501481
	}
	return 0
}
