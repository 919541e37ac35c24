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
	"client-certificate-password": "opens the certificate, whose hash is part of the secret",
	"legacy":                      "refused",
	"prompt":                      "whether a person is asked; not what the person gets",
	"pop-claims":                  "signed by every run, beside the cached access token",
}

// otherSecretToken is another federated token than tokentest.SecretToken.
var otherSecretToken = tokentest.SecretToken[:len(tokentest.SecretToken)-4] + "abcd"

// flagPairs returns two values of each flag that does not take any text.
func flagPairs(t *testing.T) map[string][2]string {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return map[string][2]string{
		"authority-host":       {"", "https://login.microsoftonline.us/"},
		"environment":          {"AzurePublicCloud", "AzureChinaCloud"},
		"federated-token-file": {write("a", tokentest.SecretToken), write("b", otherSecretToken)},
		"federated-token-env":  {"TOKEN_A", "TOKEN_B"},
		"client-certificate":   {write("a.pem", "a"), write("b.pem", "b")},
		"azure-token-proxy":    {"off", "on"},
		"pop-enabled":          {"false", "true"},
		"subscription":         {"", "b"},
		"identity-resource-id": {"", "/subscriptions/b"},
	}
}

// excludes reports whether name is left out while flag is tried: a login uses only one of the two.
func excludes(name, flag string) bool {
	for _, pair := range [][2]string{
		{"client-secret", "client-certificate"}, {"client-id", "identity-resource-id"},
		{"federated-token-env", "federated-token-file"},
	} {
		if name == pair[0] && flag == pair[1] || name == pair[1] && flag == pair[0] {
			return true
		}
	}
	return false
}

// requestWith returns a request of the method in which flag has the first or the second value of
// its pair, and all other flags the first of theirs.
func requestWith(m Method, flag string, which int, pairs map[string][2]string) Request {
	r := Request{Login: m.Name}
	fields := reflect.ValueOf(&r).Elem()
	for _, name := range append(m.flags(), "tenant-id", "client-id") {
		pair, ok := pairs[name]
		if !ok {
			pair = [2]string{"a", "b"}
		}
		value := pair[0]
		if name == flag {
			value = pair[which]
		}
		switch field := fields.FieldByName(flagFieldName(name)); {
		case excludes(name, flag):
		case field.Kind() == reflect.Bool:
			field.SetBool(value == "true")
		case field.Kind() == reflect.String:
			field.SetString(value)
		}
	}
	return r
}

// entryOf returns what decides which cache entry a request uses.
func entryOf(m Method, r Request, home string) ([]string, error) {
	variables := map[string]string{
		"HOME":                         home,
		"SYSTEM_ACCESSTOKEN":           "token",
		"SYSTEM_OIDCREQUESTURI":        "https://dev.azure.example/x",
		"AZURE_KUBERNETES_TOKEN_PROXY": "https://proxy.example",
		"TOKEN_A":                      tokentest.SecretToken,
		"TOKEN_B":                      otherSecretToken,
	}
	opts := Options{
		Getenv:  func(name string) string { return variables[name] },
		UserKey: func() ([]byte, error) { return []byte("key"), nil },
	}.withDefaults()
	client, err := newClient(m, r, opts)
	if err != nil {
		return nil, err
	}
	login, err := m.Open(r, opts, client)
	return append(slices.Clone(login.Inputs), string(login.Secret)), err
}

// TestFlagsDecideTheEntry checks that two values of a login method's flag use two cache entries,
// unless the flag stands in sameEntry. A flag that is missing in Login.Inputs would serve a token
// that belongs to another value.
func TestFlagsDecideTheEntry(t *testing.T) {
	pairs, home := flagPairs(t), t.TempDir()
	for _, m := range Methods {
		for _, flag := range m.flags() {
			if sameEntry[flag] != "" {
				continue
			}
			first, err := entryOf(m, requestWith(m, flag, 0, pairs), home)
			if err != nil {
				t.Fatalf("%s --%s: %v", m.Name, flag, err)
			}
			second, err := entryOf(m, requestWith(m, flag, 1, pairs), home)
			if err != nil {
				t.Fatalf("%s --%s: %v", m.Name, flag, err)
			}
			hasEntry := first[len(first)-1] != "" // nothing is stored without a secret
			if hasEntry && slices.Equal(first, second) {
				t.Errorf("%s: two values of --%s use one cache entry (%s): "+
					"add the flag to Login.Inputs, or to sameEntry with the reason",
					m.Name, flag, strings.Join(first[:len(first)-1], " "))
			}
		}
	}
}

// TestSignInHintNamesFlags checks that the command in the hint signs a person in for the same cache
// entry: two values of a flag that decides the entry give two commands.
func TestSignInHintNamesFlags(t *testing.T) {
	pairs, tried := flagPairs(t), 0
	for _, m := range Methods {
		for _, flag := range m.flags() {
			if !m.Interactive || sameEntry[flag] != "" {
				continue
			}
			tried++
			var hints [2]string
			for which := range hints {
				e := exchangeError{request: requestWith(m, flag, which, pairs)}
				hints[which] = e.signInHint()
			}
			if hints[0] == hints[1] {
				t.Errorf("%s: the hint does not depend on --%s: %s", m.Name, flag, hints[0])
			}
		}
	}
	if tried == 0 {
		t.Error("no flag")
	}
}
