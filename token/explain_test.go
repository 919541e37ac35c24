package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

func TestUnknownCodeKeepsEntraDescription(t *testing.T) {
	e := &exchangeError{Request{Login: workloadIdentityName}, map[string]string{}, nil, &entra.Refusal{HTTPStatus: 400, AADSTS: 9999999, OAuthError: "invalid_request", Description: "The moon is full."}}
	said := Explain(e)
	if !strings.Contains(said.Text, "AADSTS9999999: The moon is full.") || said.Hint != "what Microsoft says of it: https://login.microsoftonline.com/error?code=9999999" {
		t.Errorf("%+v", said)
	}
}

func TestExplainSetsExitStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{usageErrorf("x"), ExitUsage},
		{errors.New("x"), ExitLoginFailed},
		{fmt.Errorf("y: %w", &FailedError{Text: "x"}), ExitLoginFailed},
	} {
		if got := Explain(c.err); got.Exit != c.want || got.Text != "x" {
			t.Errorf("%+v", got)
		}
	}
}

func FuzzExplain(f *testing.F) {
	f.Add("AADSTS90002: no tenant", "said so", 0)
	f.Add("\x1b[31mred\n\u202e", "\xff\xfe", 12)
	f.Add(strings.Repeat("long ", 500), "x", 3)
	f.Fuzz(func(t *testing.T, before, after string, at int) {
		text := before + " " + tokentest.SecretToken + " " + after
		if at > 0 { // and without the blanks, where that does not make another word of it
			text = before + "'" + tokentest.SecretToken + "'" + after
		}
		body, err := json.Marshal(map[string]any{"error": text, "error_description": text, "correlation_id": text, "error_codes": []int{at}})
		if err != nil {
			t.Fatal(err)
		}
		wr := entra.Client{Authority: "https://a/", LastOutcome: &entra.Outcome{}, Network: fixedResponse{http.StatusBadRequest, body, nil}}
		if _, err := wr.Send(t.Context(), http.MethodGet, "https://a/", "x", nil); err != nil || wr.LastOutcome.Refusal == nil {
			t.Fatalf("%v, %v", wr.LastOutcome.Refusal, err)
		}
		refusal := wr.LastOutcome.Refusal
		request := Request{Login: workloadIdentityName, ClientID: "c", TenantID: "contoso.example"}
		for _, err := range []error{
			errors.New(text), fmt.Errorf("login: %w", errors.New(text)), entra.NewPermanentError("%s", text), refusal,
			&url.Error{Op: "Post", URL: "https://x/", Err: errors.New(text)},
			fmt.Errorf("%w; the last try ended so: %w", context.DeadlineExceeded, errors.New(text)),
		} {
			for _, err := range []error{err, &exchangeError{request, map[string]string{"authority": "https://a/"}, nil, err}} {
				e := Explain(err)
				tokentest.WantRedacted(t, e.Text)
				tokentest.WantRedacted(t, e.Hint)
				if e.Text == "" {
					t.Fatal("nothing said")
				}
			}
		}
	})
}

// hiddenPassword is what stands in a value that may be quoted, and is not repeated.
const hiddenPassword = "hunter2hunter2"

func wantRedactedExplanation(t *testing.T, err error) {
	t.Helper()
	e := Explain(err)
	tokentest.WantRedacted(t, e.Text)
	tokentest.WantRedacted(t, e.Hint)
	if e.Text == "" || strings.Contains(e.Text+e.Hint, hiddenPassword) {
		t.Fatalf("%q, %q", e.Text, e.Hint)
	}
}
