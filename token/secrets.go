package token

import (
	"context"
	"log/slog"
	"reflect"
	"slices"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// secretVariables are those that hold what a login shows, beside the flags' own.
var secretVariables = slices.Concat(
	metadataSecretVariables,
	[]string{gitHubActions.tokenVariable, azurePipelinesCI.tokenVariable},
)

// secrets are what this request shows to somebody, who may repeat it in an error.
func (r Request) secrets(getenv func(string) string) []string {
	var all []string
	t := reflect.TypeFor[Request]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("secret") != "" {
			all = append(all, reflect.ValueOf(r).Field(i).String())
		}
	}
	for _, name := range secretVariables {
		all = append(all, getenv(name))
	}
	return slices.DeleteFunc(
		all,
		func(s string) bool { return len(s) < 4 },
	) // shorter ones would be found in any word
}

// RedactingLogger is log without what this request shows to somebody, who may repeat it in an
// answer.
func (r Request) RedactingLogger(log *slog.Logger, getenv func(string) string) *slog.Logger {
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return log
	}
	return slog.New(redact.NewHandler(log.Handler(), r.secrets(getenv)))
}
