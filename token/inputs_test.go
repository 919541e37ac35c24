package token

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// sameEntry are flags that do not decide which token a login gets, with the reason.
var sameEntry = map[string]string{
	"timeout":                     "how long a login may take",
	"disable-instance-discovery":  "whether Microsoft is asked about the authority",
	"login-hint":                  "what the sign-in page suggests; the stored sign-in has it",
	"redirect-url":                "where the browser comes back to",
	"client-certificate-password": "opens the certificate; part of the secret, which the file's hash is too",
	"legacy":                      "refused",
	"pop-claims":                  "signed by every run, beside the cached access token",
}

// excludes reports whether name is left out where flag is tried: of the two only one is used.
func excludes(name, flag string) bool {
	for _, pair := range [][2]string{{"client-secret", "client-certificate"}, {"client-id", "identity-resource-id"}} {
		if name == pair[0] && flag == pair[1] || name == pair[1] && flag == pair[0] {
			return true
		}
	}
	return false
}

// TestFlagsDecideTheEntry checks that two values of a login method's flag use two cache entries,
// unless the flag stands in sameEntry. A flag that is missing in Login.Inputs would serve a token
// that belongs to another value.
func TestFlagsDecideTheEntry(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// Two values of each flag.
	values := map[string][2]string{
		"authority-host":       {"", "https://login.microsoftonline.us/"},
		"environment":          {"AzurePublicCloud", "AzureChinaCloud"},
		"federated-token-file": {write("a", tokentest.SecretToken), write("b", tokentest.SecretToken[:len(tokentest.SecretToken)-4]+"abcd")},
		"client-certificate":   {write("a.pem", "a"), write("b.pem", "b")},
		"azure-token-proxy":    {"off", "on"},
		"pop-enabled":          {"false", "true"},
		"subscription":         {"", "b"},
		"identity-resource-id": {"", "/subscriptions/b"},
	}
	login := func(m Method, flag string, which int) []string {
		r := Request{Login: m.Name}
		fields := reflect.ValueOf(&r).Elem()
		for _, name := range append(m.flags(), "tenant-id", "client-id") {
			pair, ok := values[name]
			if !ok {
				pair = [2]string{"a", "b"}
			}
			i := 0
			if name == flag {
				i = which
			}
			switch field := fields.FieldByName(flagFieldName(name)); {
			case field.Kind() == reflect.Bool:
				field.SetBool(pair[i] == "true")
			case excludes(name, flag):
			case field.Kind() == reflect.String:
				field.SetString(pair[i])
			}
		}
		getenv := func(name string) string {
			return map[string]string{
				"HOME": dir, "SYSTEM_ACCESSTOKEN": "token", "SYSTEM_OIDCREQUESTURI": "https://dev.azure.example/x",
				"AZURE_KUBERNETES_TOKEN_PROXY": "https://proxy.example",
			}[name]
		}
		opts := Options{Getenv: getenv, UserKey: func() ([]byte, error) { return []byte("key"), nil }}.withDefaults()
		client, err := newClient(m, r, opts)
		if err != nil {
			t.Fatalf("%s --%s: %v", m.Name, flag, err)
		}
		l, err := m.Open(r, opts, client)
		if err != nil {
			t.Fatalf("%s --%s: %v", m.Name, flag, err)
		}
		return append(slices.Clone(l.Inputs), string(l.Secret))
	}
	for _, m := range Methods {
		for _, flag := range m.flags() {
			if sameEntry[flag] != "" {
				continue
			}
			a, b := login(m, flag, 0), login(m, flag, 1)
			if slices.Equal(a, b) {
				t.Errorf("%s: two values of --%s use one cache entry (%s): add the flag to Login.Inputs, or to sameEntry with the reason",
					m.Name, flag, strings.Join(a[:len(a)-1], " "))
			}
		}
	}
}
