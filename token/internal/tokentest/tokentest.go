package tokentest

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A token that must not be seen, though it verifies nowhere: header, claims and signature as Entra
// ID's are.
const SecretToken = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJhdWQiOiJhIiwiZXhwIjoxODkzNTAwMDAwLCJzdWIiOiJzIn0." +
	"c2lnbmF0dXJlU0lHTkFUVVJFMTIzNDU2c2lnbmF0dXJlU0lHTkFUVVJFMTIzNDU2c2lnbmF0dXJl"

// WantRedacted fails when text is nothing to show to people, or shows the token or its signature.
func WantRedacted(t *testing.T, text string) {
	t.Helper()
	for _, secret := range strings.Split(SecretToken, ".") {
		if strings.Contains(text, secret) {
			t.Fatalf("%q shows the token", text)
		}
	}
	if !utf8.ValidString(text) ||
		strings.IndexFunc(
			text,
			func(c rune) bool { return c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) },
		) >= 0 {
		t.Fatalf("%q is nothing for a terminal", text)
	}
	if len(text) > 2000 {
		t.Fatalf("%d bytes are nothing for a log line", len(text))
	}
}
