// Package tokentest has what the tests of package token and its internal packages share: a token
// that must never be shown, and a check that a text is safe to show.
package tokentest

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// SecretToken is a JWT with a header, claims and a signature like those of Entra ID. Its signature
// does not verify. Messages, logs and errors must not contain any of its three parts.
const SecretToken = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0." +
	"eyJhdWQiOiJhIiwiZXhwIjoxODkzNTAwMDAwLCJzdWIiOiJzIn0." +
	"c2lnbmF0dXJlU0lHTkFUVVJFMTIzNDU2c2lnbmF0dXJlU0lHTkFUVVJFMTIzNDU2c2lnbmF0dXJl"

// WantRedacted fails the test if text contains a part of SecretToken, a control character or
// invalid UTF-8, or if it has more than 2000 bytes.
func WantRedacted(t *testing.T, text string) {
	t.Helper()
	for _, part := range strings.Split(SecretToken, ".") {
		if strings.Contains(text, part) {
			t.Fatalf("%q shows the token", text)
		}
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		t.Fatalf("%q is not safe for a terminal", text)
	}
	if len(text) > 2000 {
		t.Fatalf("%d bytes are too long for a log line", len(text))
	}
}
