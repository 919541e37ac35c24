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

// fixedResponse is a network in which every request is answered alike.
type fixedResponse struct {
	status int
	body   []byte
	header http.Header
}

func (a fixedResponse) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Status: "x", Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), Request: req, ProtoMajor: 1}, nil
}

func FuzzTokenResponse(f *testing.F) {
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"`+tokentest.SecretToken+`"}`))
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":"3599","refresh_in":1800,"access_token":"abc"}`))
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":3599,"expires_on":1,"access_token":"abc"}`))
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":3599,"refresh_in":-5,"scope":"other","access_token":"abc"}`))
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":1e3,"access_token":"`+tokentest.SecretToken+`"}`))
	f.Add(200, []byte(`<html>`+tokentest.SecretToken))
	f.Add(307, []byte(tokentest.SecretToken))
	f.Add(400, []byte(`{"error":"invalid_client","error_description":"AADSTS700016: `+tokentest.SecretToken+`\r\nTrace ID: x","error_codes":[700016],"correlation_id":"`+tokentest.SecretToken+`"}`))
	f.Add(400, []byte(`{"error":["x"],"error_codes":["y"],"access_token":"`+tokentest.SecretToken+`"}`))
	f.Add(407, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 499 || status == 408 || status == 429 { // what is tried again takes time
			t.Skip()
		}
		r := Request{Login: workloadIdentityName, TenantID: "contoso.example", ClientID: "c"}
		w := Options{Now: time.Now}.withDefaults()
		wr, err := newClient(workloadIdentity, r, w)
		if err != nil {
			t.Fatal(err)
		}
		wr.Network = fixedResponse{status, body, http.Header{"Location": {"https://elsewhere.example/" + tokentest.SecretToken}}}
		login := Login{NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			return clientCredential{assertion: func(context.Context) (string, error) { return "a.b.c", nil }}.tokenCredential(r, a)
		}}
		tok, err := requestToken(t.Context(), r, w, login, wr)
		if err != nil {
			e := Explain(&exchangeError{r, hintValues(r, w, login, wr), nil, err})
			tokentest.WantRedacted(t, e.Text)
			tokentest.WantRedacted(t, e.Hint)
			return
		}
		now := time.Now()
		if !redact.IsPlain(tok.Value, "-._~+/=") || !tok.valid(now) || tok.lifetime() > entra.MaxTokenLifetime || !tok.ReportedExpiry(now).After(now) {
			t.Fatalf("%+v", tok)
		}
	})
}
