package token

import (
	"bytes"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/redact"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// The content of a federated token file is a JWT, or an error that does not repeat the content.
func FuzzFederatedToken(f *testing.F) {
	for _, seed := range []string{
		tokentest.SecretToken, " " + tokentest.SecretToken + "\r\n", "", "..", "a.b.c",
		tokentest.SecretToken + ".x", strings.Repeat("a", maxFederatedToken+1),
		`{"access_token":"x"}`, "eyJhbGciOiJub25lIn0.e30.",
		"eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsiYSIsImIiXX0.AA", "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOjF9.AA",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := parseFederatedToken(content)
		if err != nil {
			tokentest.WantRedacted(t, err.Error())
			if len(content) > 12 && strings.Contains(err.Error(), string(content)) {
				t.Fatalf("%q repeats the file", err)
			}
			return
		}
		if !bytes.Equal(got, bytes.TrimSpace(content)) || len(got) > maxFederatedToken ||
			!redact.IsPlain(string(got), "-_.") {
			t.Fatalf("%q is not a token, from %q", got, content)
		}
		for name, value := range assertionHintValues(string(got), Request{}) {
			tokentest.WantRedacted(t, name+value)
		}
	})
}
