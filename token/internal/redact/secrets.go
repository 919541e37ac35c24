package redact

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
)

// Secrets returns text with each of the secrets replaced by a placeholder: as it is, and as it
// appears in a form, in a URL, in a Go string literal and in base64 without padding. Secrets must
// not be empty.
func Secrets(text string, secrets []string) string {
	for _, secret := range secrets {
		for _, form := range []string{
			secret,
			url.QueryEscape(secret),
			url.PathEscape(secret),
			strings.Trim(strconv.Quote(secret), `"`),
			base64.RawStdEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret)),
		} {
			text = strings.ReplaceAll(text, form, placeholder)
		}
	}
	return text
}

// handler is a slog.Handler that redacts the attributes of records.
type handler struct {
	slog.Handler
	secrets []string
}

// NewHandler returns a handler that turns all attributes of a record into strings, without the
// secrets, before next handles the record. It does not change messages, and it does not change
// attributes that were added with WithAttrs.
func NewHandler(next slog.Handler, secrets []string) slog.Handler { return handler{next, secrets} }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	redacted := slog.NewRecord(record.Time, record.Level, record.Message, record.PC)
	record.Attrs(func(a slog.Attr) bool {
		redacted.AddAttrs(slog.String(a.Key, Secrets(a.Value.String(), h.secrets)))
		return true
	})
	return h.Handler.Handle(ctx, redacted)
}
