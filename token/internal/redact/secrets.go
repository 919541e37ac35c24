package redact

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// minSecret is the length of the shortest secret that is remembered. Shorter ones would be
	// found inside ordinary words.
	minSecret = 4

	// maxSecrets bounds what a program remembers that makes any number of logins. A run of
	// akslogin has fewer than twenty secrets.
	maxSecrets = 100
)

// secret is a remembered value.
type secret struct {
	value string
	forms func() []string // see secretForms
}

// remembered are the secrets of this process, the latest last. They are not bound to a request,
// because messages also quote a secret where nobody knows the request that it belongs to.
var remembered struct {
	sync.Mutex
	secrets []secret
}

// Remember makes values secret: from now on, no text of this package contains them. It forgets the
// oldest if there are more than a hundred, and ignores values of less than four bytes.
func Remember(values ...string) {
	remembered.Lock()
	defer remembered.Unlock()
	all := slices.Clone(remembered.secrets)
	for _, value := range values {
		if len(value) < minSecret {
			continue
		}
		newest := secret{value, sync.OnceValue(func() []string { return secretForms(value) })}
		if i := slices.IndexFunc(all, func(s secret) bool { return s.value == value }); i >= 0 {
			newest = all[i]
			all = slices.Delete(all, i, i+1)
		}
		all = append(all, newest)
	}
	remembered.secrets = all[max(0, len(all)-maxSecrets):]
}

// secretForms returns a secret as it is, on a single line, and as it appears in a form, in a URL,
// in a string literal of Go or JSON, and in base64.
func secretForms(value string) []string {
	forms := []string{
		value,
		url.QueryEscape(value),
		url.PathEscape(value),
		unquoted(strconv.Quote(value)),
		base64.RawStdEncoding.EncodeToString([]byte(value)),
		base64.RawURLEncoding.EncodeToString([]byte(value)),
	}
	if line := singleLine(value); len(line) >= minSecret {
		forms = append(forms, line)
	}
	if quoted, err := json.Marshal(value); err == nil {
		forms = append(forms, unquoted(string(quoted)))
	}
	return forms
}

// withoutSecrets returns text with a placeholder for each form of each remembered secret. A part of
// the placeholder cannot be secret.
func withoutSecrets(text string) string {
	remembered.Lock()
	secrets := remembered.secrets
	remembered.Unlock()
	var found []string
	for _, s := range secrets {
		for _, form := range s.forms() {
			if strings.Contains(text, form) && !strings.Contains(placeholder, form) {
				found = append(found, form)
			}
		}
	}
	// The longest comes first, because a secret may begin with another one.
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, form := range found {
		text = strings.ReplaceAll(text, form, placeholder)
	}
	return text
}

func unquoted(literal string) string { return literal[1 : len(literal)-1] }

// handler is a slog.Handler that redacts the attributes of records.
type handler struct{ slog.Handler }

// NewHandler returns a handler that turns all attributes of a record into strings, without
// remembered secrets, before next handles the record. It does not change messages, and it does not
// change attributes that were added with WithAttrs.
func NewHandler(next slog.Handler) slog.Handler { return handler{next} }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	redacted := slog.NewRecord(record.Time, record.Level, record.Message, record.PC)
	record.Attrs(func(a slog.Attr) bool {
		redacted.AddAttrs(slog.String(a.Key, withoutSecrets(a.Value.String())))
		return true
	})
	return h.Handler.Handle(ctx, redacted)
}
