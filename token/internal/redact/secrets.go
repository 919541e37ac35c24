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

// remembered are the secrets of this process, the latest last. They are not bound to a request,
// because messages also quote a secret where nobody knows the request that it belongs to.
var remembered struct {
	sync.Mutex
	secrets []string
}

// Remember makes values secret: from now on, no text of this package contains them. It forgets the
// oldest if there are more than a hundred, and ignores values of less than four bytes.
func Remember(values ...string) {
	remembered.Lock()
	defer remembered.Unlock()
	all := remembered.secrets
	for _, value := range values {
		if len(value) < minSecret {
			continue
		}
		if i := slices.Index(all, value); i >= 0 {
			all = slices.Delete(all, i, i+1)
		}
		all = append(all, value)
	}
	remembered.secrets = slices.Clone(all[max(0, len(all)-maxSecrets):])
}

// withoutSecrets returns text with a placeholder for each remembered secret: as it is, on a single
// line, and as it appears in a form, in a URL, in a string literal of Go or JSON, and in base64.
func withoutSecrets(text string) string {
	remembered.Lock()
	secrets := remembered.secrets
	remembered.Unlock()
	if len(secrets) == 0 {
		return text
	}
	var forms []string
	for _, secret := range secrets {
		forms = append(forms, secret, singleLine(secret),
			url.QueryEscape(secret), url.PathEscape(secret), unquoted(strconv.Quote(secret)),
			base64.RawStdEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret)))
		if quoted, err := json.Marshal(secret); err == nil {
			forms = append(forms, unquoted(string(quoted)))
		}
	}
	// The replacer prefers what comes first, and a secret may begin with another one.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, form := range forms {
		if len(form) >= minSecret { // singleLine may leave nothing
			pairs = append(pairs, form, placeholder)
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
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
