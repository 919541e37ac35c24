package redact

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
)

// Secrets replaces secrets, as they are and as forms, URLs, quotes and base64 have them.
func Secrets(text string, secrets []string) string {
	for _, secret := range secrets {
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(strconv.Quote(secret), `"`),
			base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		} {
			text = strings.ReplaceAll(text, form, placeholder)
		}
	}
	return text
}

// handler is a handler for debugging, whose attributes are all text.
type handler struct {
	slog.Handler
	secrets []string
}

// Handle implements slog.Handler.
func (d handler) Handle(ctx context.Context, said slog.Record) error {
	clean := slog.NewRecord(said.Time, said.Level, said.Message, said.PC)
	said.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(slog.String(a.Key, Secrets(a.Value.String(), d.secrets)))
		return true
	})
	return d.Handler.Handle(ctx, clean)
}

// NewHandler returns a handler that replaces secrets in attributes before next sees them.
func NewHandler(next slog.Handler, secrets []string) slog.Handler { return handler{next, secrets} }
