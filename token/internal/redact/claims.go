package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// isClaimsChallenge reports whether word is a claims challenge in base64: a server's request for a
// token with certain claims, for which a person must sign in again. It looks like a JWT but is not
// secret. A word that contains anything else is not a claims challenge.
// https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter
func isClaimsChallenge(word string) bool {
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(word, "="))
	if err != nil {
		return false
	}
	var claims struct {
		AccessToken map[string]*struct {
			Essential bool     `json:"essential"`
			Value     string   `json:"value"`
			Values    []string `json:"values"`
		} `json:"access_token"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&claims) != nil || decoder.More() || len(claims.AccessToken) == 0 ||
		withoutSecrets(string(text)) != string(text) {
		return false
	}
	for part := range splitWords(string(text)) {
		if LooksLikeSecret(part) {
			return false
		}
	}
	return true
}
