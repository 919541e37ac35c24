package token

import (
	"bytes"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/redact"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

func FuzzFederatedToken(f *testing.F) {
	for _, s := range []string{tokentest.SecretToken, " " + tokentest.SecretToken + "\r\n", "", "..", "a.b.c", tokentest.SecretToken + ".x", strings.Repeat("a", maxFederatedToken+1),
		`{"access_token":"x"}`, "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsiYSIsImIiXX0.AA", "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOjF9.AA"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parseFederatedToken(raw)
		if err != nil {
			tokentest.WantRedacted(t, err.Error())
			if len(raw) > 12 && strings.Contains(err.Error(), string(raw)) {
				t.Fatalf("%q repeats the file", err)
			}
			return
		}
		if !bytes.Equal(got, bytes.TrimSpace(raw)) || len(got) > maxFederatedToken || !redact.IsPlain(string(got), "-_.") {
			t.Fatalf("%q is no token, from %q", got, raw)
		}
		for name, value := range assertionHintValues(string(got), Request{}) {
			tokentest.WantRedacted(t, name+value)
		}
	})
}
