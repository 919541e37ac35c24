package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

func TestUnknownCodeKeepsEntraDescription(t *testing.T) {
	refusal := &entra.Refusal{
		HTTPStatus:  400,
		AADSTS:      9999999,
		OAuthError:  "invalid_request",
		Description: "The moon is full.",
	}
	r := Request{Login: workloadIdentityName}
	got := Explain(&exchangeError{r, map[string]string{}, refusal})
	const link = "https://login.microsoftonline.com/error?code=9999999"
	if !strings.Contains(got.Text, "AADSTS9999999: The moon is full.") ||
		got.Hint != "Microsoft's explanation: "+link {
		t.Errorf("%+v", got)
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

// A failed exchange names the cause that it has, and advice for that cause.
func TestHintByCause(t *testing.T) {
	listen := func(err error) error { return &net.OpError{Op: "listen", Net: "tcp", Err: err} }
	timeout := &entra.TryTimeoutError{Timeout: 10 * time.Second}
	for _, c := range []struct {
		err              error
		login, redirect  string
		wantText, wantIn string
	}{
		{timeout, workloadIdentityName, "", ": no answer within 10s, the limit of one try", "a larger --timeout"},
		{listen(&net.DNSError{Err: "no such host", Name: "localhost", IsNotFound: true}),
			"interactive", "http://localhost:1", "lookup localhost: no such host", "/etc/hosts"},
		{listen(syscall.EADDRNOTAVAIL), "interactive", "", "", "--login devicecode"},
		{listen(syscall.EACCES), "interactive", "http://localhost:1", "", "may not listen"},
		{listen(syscall.EADDRINUSE), "interactive", "http://localhost:1", "", "another program uses"},
	} {
		r := Request{Login: c.login, RedirectURL: c.redirect, Timeout: 30 * time.Minute}
		got := Explain(&exchangeError{r, map[string]string{}, c.err})
		if !strings.Contains(got.Text, c.wantText) || !strings.Contains(got.Hint, c.wantIn) {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
}

// Explain redacts a token in any error, whatever surrounds the token.
func FuzzExplain(f *testing.F) {
	f.Add("AADSTS90002: no tenant", "said so", 0)
	f.Add("\x1b[31mred\n\u202e", "\xff\xfe", 12)
	f.Add(strings.Repeat("long ", 500), "x", 3)
	f.Fuzz(func(t *testing.T, before, after string, code int) {
		text := before + " " + tokentest.SecretToken + " " + after
		if code > 0 { // quotes instead of spaces, which do not become a part of the word either
			text = before + "'" + tokentest.SecretToken + "'" + after
		}
		refusal := testRefusal(t, text, code)
		r := Request{Login: workloadIdentityName, ClientID: "c", TenantID: "contoso.example"}
		values := map[string]string{"authority": "https://a/"}
		for _, err := range []error{
			errors.New(text),
			fmt.Errorf("login: %w", errors.New(text)),
			entra.NewPermanentError("%s", text),
			refusal,
			&url.Error{Op: "Post", URL: "https://x/", Err: errors.New(text)},
			fmt.Errorf("%w; the last try failed: %w", context.DeadlineExceeded, errors.New(text)),
		} {
			wantRedactedExplanation(t, err)
			wantRedactedExplanation(t, &exchangeError{r, values, err})
		}
	})
}

// testRefusal returns the refusal that a client reads from an error body with text in all fields.
func testRefusal(t *testing.T, text string, code int) *entra.Refusal {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"error":             text,
		"error_description": text,
		"error_codes":       []int{code},
		"correlation_id":    text,
	})
	if err != nil {
		t.Fatal(err)
	}
	client := entra.Client{
		Authority:   "https://a/",
		LastOutcome: &entra.Outcome{},
		Network:     fixedResponse{http.StatusBadRequest, body, nil},
	}
	_, err = client.Send(t.Context(), http.MethodGet, "https://a/", "x", nil)
	if err != nil || client.LastOutcome.Refusal == nil {
		t.Fatalf("%v, %v", client.LastOutcome.Refusal, err)
	}
	return client.LastOutcome.Refusal
}

// hiddenPassword is a password in a URL. Errors may quote the URL, but not the password.
const hiddenPassword = "hunter2hunter2"

// wantRedactedExplanation fails the test if the explanation of err is empty or shows a secret.
func wantRedactedExplanation(t *testing.T, err error) {
	t.Helper()
	got := Explain(err)
	tokentest.WantRedacted(t, got.Text)
	tokentest.WantRedacted(t, got.Hint)
	if got.Text == "" || strings.Contains(got.Text+got.Hint, hiddenPassword) {
		t.Fatalf("%q, %q", got.Text, got.Hint)
	}
}
