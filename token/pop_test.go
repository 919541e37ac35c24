package token

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// signPoP returns a JWT that holds the access token and the host of --pop-claims, or a redacted
// error.
func FuzzSignPoP(f *testing.F) {
	f.Add("u=/subscriptions/x/resourceGroups/y/providers/Microsoft.Kubernetes/"+
		"connectedClusters/z", "a.b.c")
	f.Add(`u=","alg":"none`, `"}`)
	f.Add("k=v", "x")
	f.Add("u=a,k=,", "x")
	key, err := newProofKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, popClaims, accessToken string) {
		now := time.Unix(1893456000, 0)
		r := Request{PoPClaims: popClaims}
		signed, err := signPoP(Token{
			Value:    accessToken,
			Obtained: now,
			Expires:  now.Add(time.Hour),
			ProofKey: key.pkcs8(),
		}, r, now)
		if err != nil {
			tokentest.WantRedacted(t, Explain(err).Text)
			return
		}
		var claims struct {
			AccessToken string `json:"at"`
			Host        string `json:"u"`
			Timestamp   int64  `json:"ts"`
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(signed.Value, ".")[1])
		if err == nil {
			err = json.Unmarshal(raw, &claims)
		}
		if err != nil || claims.Timestamp != now.Unix() || signed.ProofKey != nil {
			t.Fatalf("%+v, %v", claims, err)
		}
		host, _ := r.popHost()
		representable := utf8.ValidString(accessToken + host) // JSON replaces invalid UTF-8
		if representable && (claims.AccessToken != accessToken || claims.Host != host) {
			t.Fatalf("%+v", claims)
		}
	})
}
