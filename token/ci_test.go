package token

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// The response of a CI system is a federated token, or an error that does not repeat the response.
func FuzzCIResponse(f *testing.F) {
	f.Add(200, []byte(`{"value":"`+tokentest.SecretToken+`"}`))
	f.Add(200, []byte(`{"oidcToken":"`+tokentest.SecretToken+`"}`))
	f.Add(200, []byte(`{"value":["`+tokentest.SecretToken+`"]}`))
	f.Add(200, []byte(tokentest.SecretToken))
	f.Add(401, []byte(`{"message":"`+tokentest.SecretToken+`"}`))
	f.Add(302, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 499 || status == 408 || status == 429 {
			t.Skip() // a retry would take time
		}
		for _, system := range append(slices.Clip(ciSystems), azurePipelinesCI) {
			location := "https://evil.example/" + tokentest.SecretToken
			client := entra.Client{
				Backoff:     time.Nanosecond,
				LastOutcome: &entra.Outcome{},
				Network:     fixedResponse{status, body, http.Header{"Location": {location}}},
			}
			u := url.URL{Scheme: "https", Host: "ci.example", Path: "/token"}
			got, err := system.requestFederatedToken(context.Background(), u, "job.token", client)
			if err != nil {
				r := Request{Login: workloadIdentityName}
				wantRedactedExplanation(t, &exchangeError{r, nil, err})
				continue
			}
			_, err = parseFederatedToken([]byte(got))
			// A JSON string with escapes need not contain the token byte by byte.
			inBody := bytes.Contains(body, []byte(got)) || bytes.Contains(body, []byte(`\`))
			if err != nil || status != http.StatusOK || !inBody {
				t.Fatalf("%d %s yields %q, %v", status, body, got, err)
			}
		}
	})
}
