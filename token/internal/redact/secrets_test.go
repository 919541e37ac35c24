package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// remember makes secrets known until the test ends.
func remember(t *testing.T, secrets ...string) {
	remembered.secrets = nil
	t.Cleanup(func() { remembered.secrets = nil })
	Remember(secrets...)
}

// What is known to be secret is removed whatever it looks like, in every form in which a server may
// repeat it.
func TestRememberedSecretIsRemoved(t *testing.T) {
	for _, secret := range []string{
		"correcthorsebatt", // 16 characters
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", // hex
		"ykf5plwl7b2zw4ghcvtkgsx5nvwvwkzh2dqp6hyx3gmzyxe5ynea",             // an old personal access token
		"two  words", "pa\tss\x01word", `qu"ote\d`, "a&b=c d/e<f>", "p\u200bass\u3164word", "pässwörd",
		strings.Repeat("long", 20000),
	} {
		remember(t, secret)
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), strconv.Quote(secret), string(quoted),
			base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret)),
			singleLine(secret),
		} {
			inner := strings.Trim(form, `"`)
			for _, format := range []string{"%s", "pre%spost", "x=%s&y", strings.Repeat("\x1b", 20000) + "%s"} {
				text := fmt.Sprintf(format, form)
				for name, got := range map[string]string{"Line": Line(text), "Excerpt": Excerpt(text)} {
					if strings.Contains(got, inner[:min(len(inner), 8)]) || !strings.Contains(got, placeholder) {
						t.Errorf("%s shows %.60q as %.200q", name, form, got)
					}
				}
			}
		}
	}
}

// A secret is removed before the text is cut, and before characters in it are left out.
func TestPartOfRememberedSecretIsNotShown(t *testing.T) {
	const secret = "correct horse battery staple"
	remember(t, secret)
	for before := range maxLine + 10 {
		text := strings.Repeat("a ", before/2) + strings.Repeat(".", before%2) + secret
		for _, got := range []string{Line(text), Excerpt(text)} {
			if strings.Contains(got, "corr") {
				t.Fatalf("%d bytes before it: %q", before, got)
			}
		}
	}
	for _, text := range []string{
		"correct \u200bhorse battery staple", "correct\x1b\u00a0horse  battery\nstaple", "\xffcorrect horse\xff battery staple",
	} {
		if got := Line(text); got != placeholder {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestLongerSecretIsRemovedFirst(t *testing.T) {
	remember(t, "hunter2", "hunter2hunter3", "ter3")
	if got := Line("a hunter2hunter3 b hunter2 c"); got != "a "+placeholder+" b "+placeholder+" c" {
		t.Error(got)
	}
}

func TestPartOfPlaceholderCannotBeSecret(t *testing.T) {
	remember(t, "redacted", "dact", "hunter2")
	if got := Line("dact hunter2 redacted"); got != "dact "+placeholder+" redacted" {
		t.Error(got)
	}
}

func TestRememberIsBounded(t *testing.T) {
	remember(t, "first secret", "abc", "")
	for i := range 2 * maxSecrets {
		Remember(fmt.Sprintf("secret number %03d", i), "first secret")
	}
	if n := len(remembered.secrets); n != maxSecrets {
		t.Errorf("%d secrets are remembered", n)
	}
	if got := Line("abc first secret, secret number 199"); got != "abc "+placeholder+", "+placeholder {
		t.Error(got)
	}
}

func TestHandlerRemovesRememberedSecrets(t *testing.T) {
	remember(t, "correcthorsebatt")
	var out bytes.Buffer
	log := slog.New(NewHandler(slog.NewTextHandler(&out, nil)))
	log.Info("asked", "error", fmt.Errorf("client_secret=%s", "correcthorsebatt"), "list", []string{"correcthorsebatt"})
	if got := out.String(); strings.Contains(got, "correct") || strings.Count(got, placeholder) != 2 {
		t.Error(got)
	}
}
