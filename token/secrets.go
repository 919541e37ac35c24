package token

import (
	"context"
	"log/slog"
	"reflect"
	"slices"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// secretVariables returns the variables that hold secrets, besides those of flags.
func secretVariables() []string {
	names := append(slices.Clone(metadataSecretVariables), azurePipelinesCI.tokenVariable)
	for _, c := range ciSystems {
		names = append(names, c.tokenVariable)
	}
	return names
}

// secrets returns the secrets that this request sends somewhere. Any of them may come back in an
// error.
func (r Request) secrets(getenv func(string) string) []string {
	var all []string
	t := reflect.TypeFor[Request]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("secret") != "" {
			all = append(all, reflect.ValueOf(r).Field(i).String())
		}
	}
	for _, name := range secretVariables() {
		all = append(all, getenv(name))
	}
	// Shorter values would be found inside ordinary words.
	return slices.DeleteFunc(all, func(s string) bool { return len(s) < 4 })
}

// RedactingLogger returns a logger that writes to log without the secrets of this request, which a
// server may repeat in a response.
func (r Request) RedactingLogger(log *slog.Logger, getenv func(string) string) *slog.Logger {
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return log
	}
	return slog.New(redact.NewHandler(log.Handler(), r.secrets(getenv)))
}
