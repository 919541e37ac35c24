package token

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// fixedResponse is a network that gives the same response to every request.
type fixedResponse struct {
	status int
	body   []byte
	header http.Header
}

// RoundTrip implements http.RoundTripper.
func (f fixedResponse) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: f.status,
		Status:     "x",
		ProtoMajor: 1,
		Header:     f.header,
		Body:       io.NopCloser(bytes.NewReader(f.body)),
		Request:    req,
	}, nil
}

// The response to a token request is a valid token, or a redacted error.
func FuzzTokenResponse(f *testing.F) {
	for _, seed := range []struct {
		status int
		body   string
	}{
		{200, `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"` + tokentest.SecretToken + `"}`},
		{200, `{"token_type":"Bearer","expires_in":"3599","refresh_in":1800,"access_token":"abc"}`},
		{200, `{"token_type":"Bearer","expires_in":3599,"expires_on":1,"access_token":"abc"}`},
		{200, `{"token_type":"Bearer","expires_in":3599,"refresh_in":-5,"scope":"other","access_token":"abc"}`},
		{200, `{"token_type":"Bearer","expires_in":1e3,"access_token":"` + tokentest.SecretToken + `"}`},
		{200, `<html>` + tokentest.SecretToken},
		{307, tokentest.SecretToken},
		{400, `{"error":"invalid_client","error_description":"AADSTS700016: ` + tokentest.SecretToken + `\r\nTrace ID: x","error_codes":[700016],"correlation_id":"` + tokentest.SecretToken + `"}`},
		{400, `{"error":["x"],"error_codes":["y"],"access_token":"` + tokentest.SecretToken + `"}`},
		{407, ``},
	} {
		f.Add(seed.status, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 499 || status == 408 || status == 429 {
			t.Skip() // a retry would take time
		}
		r := Request{Login: workloadIdentityName, TenantID: "contoso.example", ClientID: "c"}
		opts := Options{Now: time.Now}.withDefaults()
		client, err := newClient(workloadIdentity, r, opts)
		if err != nil {
			t.Fatal(err)
		}
		location := "https://elsewhere.example/" + tokentest.SecretToken
		client.Network = fixedResponse{status, body, http.Header{"Location": {location}}}
		assertion := func(context.Context) (string, error) { return "a.b.c", nil }
		login := Login{NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			return clientCredential{assertion: assertion}.tokenCredential(r, a)
		}}
		tok, err := requestToken(t.Context(), r, opts, login, client)
		if err != nil {
			values := hintValues(r, opts, login, client)
			explanation := Explain(&exchangeError{r, values, err})
			tokentest.WantRedacted(t, explanation.Text)
			tokentest.WantRedacted(t, explanation.Hint)
			return
		}
		now := time.Now()
		if !redact.IsPlain(tok.Value, "-._~+/=") || !tok.valid(now) ||
			tok.lifetime() > entra.MaxTokenLifetime || !tok.ReportedExpiry(now).After(now) {
			t.Fatalf("%+v", tok)
		}
	})
}
