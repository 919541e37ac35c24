package token

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// What a CI system answers is a federated token, or an error that repeats none of it.
func FuzzCIResponse(f *testing.F) {
	f.Add(200, []byte(`{"value":"`+tokentest.SecretToken+`"}`))
	f.Add(200, []byte(`{"oidcToken":"`+tokentest.SecretToken+`"}`))
	f.Add(200, []byte(`{"value":["`+tokentest.SecretToken+`"]}`))
	f.Add(200, []byte(tokentest.SecretToken))
	f.Add(401, []byte(`{"message":"`+tokentest.SecretToken+`"}`))
	f.Add(302, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 499 || status == 408 || status == 429 { // what is tried again takes time
			t.Skip()
		}
		for _, system := range []ciSystem{gitHubActions, azurePipelinesCI} {
			wr := entra.Client{Backoff: time.Nanosecond, LastOutcome: &entra.Outcome{}, Network: fixedResponse{status, body, http.Header{"Location": {"https://evil.example/" + tokentest.SecretToken}}}}
			u := url.URL{Scheme: "https", Host: "ci.example", Path: "/token"}
			given, err := system.requestFederatedToken(context.Background(), u, "job.token", wr)
			if err != nil {
				wantRedactedExplanation(t, &exchangeError{Request{Login: workloadIdentityName}, nil, nil, err})
				continue
			}
			if _, err := parseFederatedToken([]byte(given)); err != nil || status != http.StatusOK || !bytes.Contains(body, []byte(given)) && !bytes.Contains(body, []byte(`\`)) {
				t.Fatalf("%d %s gave %q, %v", status, body, given, err)
			}
		}
	})
}
