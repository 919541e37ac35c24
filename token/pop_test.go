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

// Whatever stands in --pop-claims and in the access token, the result is a JWT with both in it, or
// a refusal in words.
func FuzzSignPoP(f *testing.F) {
	f.Add("u=/subscriptions/x/resourceGroups/y/providers/Microsoft.Kubernetes/connectedClusters/z", "a.b.c")
	f.Add(`u=","alg":"none`, `"}`)
	f.Add("k=v", "x")
	f.Add("u=a,k=,", "x")
	key, err := newProofKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, popClaims, accessToken string) {
		now := time.Unix(1893456000, 0)
		tok, err := signPoP(Token{Value: accessToken, Obtained: now, Expires: now.Add(time.Hour), ProofKey: key.pkcs8()}, Request{PoPClaims: popClaims}, now)
		if err != nil {
			tokentest.WantRedacted(t, Explain(err).Text)
			return
		}
		var claims struct {
			AT string `json:"at"`
			U  string `json:"u"`
			TS int64  `json:"ts"`
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(tok.Value, ".")[1])
		if err == nil {
			err = json.Unmarshal(raw, &claims)
		}
		host, _ := Request{PoPClaims: popClaims}.popHost()
		if err != nil || utf8.ValidString(accessToken+host) && (claims.AT != accessToken || claims.U != host) || claims.TS != now.Unix() || tok.ProofKey != nil {
			t.Fatalf("%+v, %v", claims, err)
		}
	})
}
