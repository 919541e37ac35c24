package token

import (
	"context"
	"log/slog"
	"net/url"
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

// rememberSecrets makes sure that no message shows a secret that this request has from flags and
// variables. Federated tokens, and whatever else is sent or received, are remembered when that
// happens.
func (r Request) rememberSecrets(getenv func(string) string) {
	t := reflect.TypeFor[Request]()
	for i := range t.NumField() {
		switch tag, value := t.Field(i).Tag, reflect.ValueOf(r).Field(i); {
		case tag.Get("secret") != "":
			redact.Remember(value.String())
		case tag.Get("names") != "" && value.String() != "":
			redact.Remember(getenv(value.String()))
		}
	}
	for _, name := range secretVariables() {
		redact.Remember(getenv(name))
	}
	for _, name := range httpsProxyVariables {
		if u, err := url.Parse(getenv(name)); err == nil {
			password, _ := u.User.Password()
			redact.Remember(password)
		}
	}
}

// RedactingLogger returns a logger that writes to log without the secrets of this request, which a
// server may repeat in a response.
func (r Request) RedactingLogger(log *slog.Logger, getenv func(string) string) *slog.Logger {
	r.rememberSecrets(getenv)
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return log
	}
	return slog.New(redact.NewHandler(log.Handler()))
}
