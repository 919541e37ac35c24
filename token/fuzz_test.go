package token

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// A token that must not be seen, though it verifies nowhere: header, claims and signature as Entra ID's are.
const secretToken = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJhdWQiOiJhIiwiZXhwIjoxODkzNTAwMDAwLCJzdWIiOiJzIn0." +
	"c2lnbmF0dXJlU0lHTkFUVVJFMTIzNDU2c2lnbmF0dXJlU0lHTkFUVVJFMTIzNDU2c2lnbmF0dXJl"

// wantPresentable fails when text is nothing to show to people, or shows the token or its signature.
func wantPresentable(t *testing.T, text string) {
	t.Helper()
	for _, secret := range strings.Split(secretToken, ".") {
		if strings.Contains(text, secret) {
			t.Fatalf("%q shows the token", text)
		}
	}
	if !utf8.ValidString(text) || strings.IndexFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) }) >= 0 {
		t.Fatalf("%q is nothing for a terminal", text)
	}
	if len(text) > 2000 {
		t.Fatalf("%d bytes are nothing for a log line", len(text))
	}
}

func FuzzFederatedToken(f *testing.F) {
	for _, s := range []string{secretToken, " " + secretToken + "\r\n", "", "..", "a.b.c", secretToken + ".x", strings.Repeat("a", maxFederatedToken+1),
		`{"access_token":"x"}`, "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsiYSIsImIiXX0.AA", "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOjF9.AA"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parseFederatedToken(raw)
		if err != nil {
			wantPresentable(t, err.Error())
			if len(raw) > 12 && strings.Contains(err.Error(), string(raw)) {
				t.Fatalf("%q repeats the file", err)
			}
			return
		}
		if !bytes.Equal(got, bytes.TrimSpace(raw)) || len(got) > maxFederatedToken || !plain(string(got), "-_.") {
			t.Fatalf("%q is no token, from %q", got, raw)
		}
		for name, value := range assertionFacts(string(got), Request{}) {
			wantPresentable(t, name+value)
		}
	})
}

// answers is a network in which every request is answered alike.
type answers struct {
	status int
	body   []byte
	header http.Header
}

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Status: "x", Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), Request: req, ProtoMajor: 1}, nil
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"`+secretToken+`"}`))
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":"3599","refresh_in":1800,"access_token":"abc"}`))
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":3599,"expires_on":1,"access_token":"abc"}`))
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":3599,"refresh_in":-5,"scope":"other","access_token":"abc"}`))
	f.Add(200, []byte(`{"token_type":"Bearer","expires_in":1e3,"access_token":"`+secretToken+`"}`))
	f.Add(200, []byte(`<html>`+secretToken))
	f.Add(307, []byte(secretToken))
	f.Add(400, []byte(`{"error":"invalid_client","error_description":"AADSTS700016: `+secretToken+`\r\nTrace ID: x","error_codes":[700016],"correlation_id":"`+secretToken+`"}`))
	f.Add(400, []byte(`{"error":["x"],"error_codes":["y"],"access_token":"`+secretToken+`"}`))
	f.Add(407, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 499 || status == 408 || status == 429 { // what is tried again takes time
			t.Skip()
		}
		r := Request{Login: workloadIdentityName, TenantID: "contoso.example", ClientID: "c"}
		w := World{Now: time.Now}.orDefaults()
		wr, err := newWire(workloadIdentity, r, w)
		if err != nil {
			t.Fatal(err)
		}
		wr.network = answers{status, body, http.Header{"Location": {"https://elsewhere.example/" + secretToken}}}
		login := Login{Credential: func(a attempt) (azcore.TokenCredential, error) {
			return application{assertion: func(context.Context) (string, error) { return "a.b.c", nil }}.credential(r, a)
		}}
		tok, err := ask(t.Context(), r, w, login, wr)
		if err != nil {
			e := Explain(&exchangeError{r, facts(r, w, login, wr), nil, err})
			wantPresentable(t, e.Text)
			wantPresentable(t, e.Hint)
			return
		}
		now := time.Now()
		if !plain(tok.Value, "-._~+/=") || !tok.works(now) || tok.life() > maxLife || !tok.Until(now).After(now) {
			t.Fatalf("%+v", tok)
		}
	})
}

func FuzzExplain(f *testing.F) {
	f.Add("AADSTS90002: no tenant", "said so", 0)
	f.Add("\x1b[31mred\n\u202e", "\xff\xfe", 12)
	f.Add(strings.Repeat("long ", 500), "x", 3)
	f.Fuzz(func(t *testing.T, before, after string, at int) {
		text := before + " " + secretToken + " " + after
		if at > 0 { // and without the blanks, where that does not make another word of it
			text = before + "'" + secretToken + "'" + after
		}
		body, err := json.Marshal(map[string]any{"error": text, "error_description": text, "correlation_id": text, "error_codes": []int{at}})
		if err != nil {
			t.Fatal(err)
		}
		wr := wire{authority: "https://a/", last: &outcome{}, network: answers{http.StatusBadRequest, body, nil}}
		if _, err := wr.send(t.Context(), http.MethodGet, "https://a/", "x", nil); err != nil || wr.last.refusal == nil {
			t.Fatalf("%v, %v", wr.last.refusal, err)
		}
		refusal := wr.last.refusal
		request := Request{Login: workloadIdentityName, ClientID: "c", TenantID: "contoso.example"}
		for _, err := range []error{
			errors.New(text), fmt.Errorf("login: %w", errors.New(text)), final("%s", text), refusal,
			&url.Error{Op: "Post", URL: "https://x/", Err: errors.New(text)},
			fmt.Errorf("%w; the last try ended so: %w", context.DeadlineExceeded, errors.New(text)),
		} {
			for _, err := range []error{err, &exchangeError{request, map[string]string{"authority": "https://a/"}, nil, err}} {
				e := Explain(err)
				wantPresentable(t, e.Text)
				wantPresentable(t, e.Hint)
				if e.Text == "" {
					t.Fatal("nothing said")
				}
			}
		}
	})
}

// What a metadata service or Entra ID's device endpoint answers is not repeated, and what is passed on to MSAL was looked at.
func FuzzOtherAnswers(f *testing.F) {
	f.Add([]byte(`{"access_token":"` + secretToken + `","client_id":"c","expires_in":"86400","expires_on":"1893500000","resource":"r","token_type":"Bearer","refresh_in":"43200"}`))
	f.Add([]byte(`{"access_token":"abc","expires_on":"1893500000","expires_in":[],"token_type":5}`))
	f.Add([]byte(`{"access_token":"abc","expires_in":"x` + secretToken + `"}`))
	f.Add([]byte(`{"device_code":"` + secretToken + `","user_code":"ABC","verification_uri":"https://x/","expires_in":900,"interval":5,"message":"enter ABC\u001b[31m\n` + secretToken + `"}`))
	f.Add([]byte(`{"device_code":5}`))
	f.Add([]byte(`<html>` + secretToken))
	now := time.Unix(1893456000, 0)
	f.Fuzz(func(t *testing.T, body []byte) {
		if out, err := checkMetadata(body, now); err != nil {
			wantPresentable(t, err.Error())
		} else {
			var a struct {
				Token   string `json:"access_token"`
				Expires int64  `json:"expires_in"`
			}
			if err := json.Unmarshal(out, &a); err != nil || !isBearer(a.Token) || a.Expires <= 0 || time.Duration(a.Expires)*time.Second > maxLife {
				t.Fatalf("%s passes: %+v, %v", body, a, err)
			}
		}
		if out, err := checkDeviceCode(body); err != nil {
			wantPresentable(t, err.Error())
		} else {
			var a struct {
				UserCode string `json:"user_code"`
				Message  string `json:"message"`
			}
			if err := json.Unmarshal(out, &a); err != nil || a.UserCode == "" {
				t.Fatalf("%s passes: %+v, %v", body, a, err)
			}
			wantPresentable(t, a.UserCode)
			wantPresentable(t, a.Message)
		}
	})
}

// Whatever stands in --pop-claims and in the access token, the result is a JWT with both in it, or a refusal in words.
func FuzzProof(f *testing.F) {
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
		tok, err := proven(Token{Value: accessToken, Obtained: now, Expires: now.Add(time.Hour), Proof: key.bytes()}, Request{PoPClaims: popClaims}, now)
		if err != nil {
			wantPresentable(t, Explain(err).Text)
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
		host, _ := Request{PoPClaims: popClaims}.provenHost()
		if err != nil || utf8.ValidString(accessToken+host) && (claims.AT != accessToken || claims.U != host) || claims.TS != now.Unix() || tok.Proof != nil {
			t.Fatalf("%+v, %v", claims, err)
		}
	})
}
