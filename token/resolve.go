package token

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"
)

// Resolve completes a request that was typed: typed tells which flags were given by the person,
// whose values the request holds; getenv reads the environment. It returns the request with every
// value and where that came from, and chooses the login method where none was named. An empty
// variable is an unset one.
func (r Request) Resolve(
	typed func(flag string) bool,
	getenv func(string) string,
) (Request, error) {
	r.From = map[string]string{}
	// The method comes first: which variables count depends on it, and it on the token file's.
	for _, only := range []string{"login", "federated-token-file", ""} {
		if err := r.resolveFlags(only, typed, getenv); err != nil {
			return r, err
		}
		if only == "federated-token-file" && r.Login == "" {
			r.Login, r.From["login"] = r.defaultLogin(getenv), fromDefault
		}
	}
	if m, known := MethodByName(
		r.Login,
	); known && m.Interactive &&
		r.From["timeout"] == fromDefault {
		r.Timeout = interactiveTimeout
	}
	// An authority host that is just in the air yields to an environment that somebody wrote down
	// (https://github.com/Azure/kubelogin/issues/507).
	if r.From["environment"] == "--environment" &&
		strings.HasPrefix(r.From["authority-host"], "$") {
		r.AuthorityHost = ""
		r.From["authority-host"] += ", ignored because of --environment"
	}
	return r, nil
}

func (r Request) defaultLogin(getenv func(string) string) string {
	_, err := os.Stat(WellKnownTokenFile)
	if r.FederatedTokenFile != "" || onGitHubActions(getenv) || err == nil {
		return workloadIdentityName
	}
	return "devicecode"
}

// resolveFlags sets the flag named only, or all of them where that is "".
func (r *Request) resolveFlags(
	only string,
	typed func(string) bool,
	getenv func(string) string,
) error {
	fields := reflect.ValueOf(r).Elem()
	for i := range fields.NumField() {
		tag := fields.Type().Field(i).Tag
		flag := tag.Get("name")
		if flag == "" || r.From[flag] != "" || (only != "" && only != flag) {
			continue
		}
		value, from := r.strongestSource(flag, tag, fields.Field(i), typed, getenv)
		if from == "" {
			fields.Field(i).SetZero()
			continue
		}
		r.From[flag] = from
		if from == "--"+flag {
			continue
		}
		if err := setField(fields.Field(i), value); err != nil {
			return &UsageError{
				Text: fmt.Sprintf("%v (%s)", err, from),
				Hint: "correct or unset it, or give --" + flag,
			}
		}
	}
	return nil
}

// strongestSource returns the strongest source of a flag's value that has one. from is "" where
// there is none.
func (r *Request) strongestSource(
	flag string,
	tag reflect.StructTag,
	field reflect.Value,
	typed func(string) bool,
	getenv func(string) string,
) (value, from string) {
	counts := func(value string) bool {
		if flag == "client-id" && strings.EqualFold(value, PublicClientID) && r.needsOwnClientID() {
			r.publicClientGiven = true
			return false
		}
		return value != ""
	}
	variables := Variables(tag.Get)
	lookup := func(overriding bool) (string, string) {
		for _, v := range variables {
			if v.Overrides == overriding && r.readsVariable(v) {
				if value := getenv(v.Name); counts(value) {
					return value, "$" + v.Name
				}
			}
		}
		return "", ""
	}
	if value, from = lookup(true); from != "" {
		return value, from
	}
	if typed(flag) && (field.Kind() != reflect.String || counts(field.String())) {
		return "", "--" + flag
	}
	if value, from = lookup(false); from != "" {
		return value, from
	}
	if value = tag.Get("otherwise"); value != "" {
		return value, fromDefault
	}
	return "", ""
}

// readsVariable tells whether a variable counts for this request.
func (r *Request) readsVariable(v Variable) bool {
	return (!v.Overrides || !r.DisableEnvironmentOverride) && (!v.AzureRM || r.UseAzureRMEnvVars) &&
		(v.Method == "" || v.Method == r.Login)
}

func (r *Request) needsOwnClientID() bool {
	m, known := MethodByName(r.Login)
	return known && m.isIdentityFlag("client-id")
}

func setField(field reflect.Value, value string) error {
	if field.Kind() == reflect.String {
		field.SetString(value)
		return nil
	}
	d, err := ParseDuration(value)
	field.Set(reflect.ValueOf(d))
	return err
}

// ParseDuration reads a length of time as Go writes them, for a person who may not know how.
func ParseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf(
			"%q is not a length of time: it needs a number and a unit, as 90s or 2m",
			value,
		)
	}
	return d, nil
}

// interactiveTimeout is the timeout where a person has to find a browser, a password and a second
// factor, unless one was given.
const interactiveTimeout = 10 * time.Minute
