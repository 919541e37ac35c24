package token

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// interactiveTimeout is the default timeout of methods for which a person may need a browser, a
// password and a second factor.
const interactiveTimeout = 10 * time.Minute

// Resolve completes a request from variables and defaults, and chooses the login method if none is
// named, or several are: the first of those that has what it needs on this machine. It returns the
// request with From filled in; errors are *UsageError.
//
// explicit reports whether a flag was given on the command line; r holds its value. getenv reads a
// variable; an empty one counts as unset.
func (r Request) Resolve(
	explicit func(flag string) bool,
	getenv func(string) string,
) (Request, error) {
	written, err := r.ResolveStanza(explicit, getenv)
	if m, known := MethodByName(written.Login); err != nil || !known || !m.isInOrder() {
		return written, err
	}
	return r.chooseLogin(written, explicit, getenv)
}

// ResolveStanza is like Resolve for a request that is written into a kubeconfig: several logins in
// order stay as they are.
func (r Request) ResolveStanza(
	explicit func(flag string) bool,
	getenv func(string) string,
) (Request, error) {
	if explicit("federated-token-env") && r.FederatedTokenEnv == "" {
		return r, &UsageError{
			Text: "--federated-token-env is empty: it needs the name of a variable",
			Hint: "leave the flag out if the federated token is elsewhere",
		}
	}
	r.From = map[string]string{}
	defer func() { r.rememberSecrets(getenv) }()
	// The method decides which variables count, and a federated token can decide the method. So
	// these flags come before the others.
	for _, only := range []string{"login", "federated-token-file", "federated-token-env", ""} {
		if err := r.resolveFlags(only, explicit, getenv); err != nil {
			return r, err
		}
		if only == "federated-token-env" && r.Login == "" {
			r.Login, r.From["login"] = r.defaultLogin(getenv), fromDefault
		}
	}
	if name := repeatedLogin(r.Login); name != "" {
		return r, usageErrorf(
			"login %s is named more than once in %q%s", name, r.Login, r.sourceNote("login"),
		)
	}
	m, _ := MethodByName(r.Login)
	if m.Interactive && r.From["timeout"] == fromDefault {
		r.Timeout = interactiveTimeout
	}
	r.dropOverruled()
	return r, nil
}

// dropOverruled removes values that another flag's value makes meaningless.
func (r *Request) dropOverruled() {
	// An environment overrides an authority host from a weaker source
	// (https://github.com/Azure/kubelogin/issues/507).
	environment, authority := r.From["environment"], r.From["authority-host"]
	explicit, fromVariable := r.setExplicitly("environment"), strings.HasPrefix(authority, "$")
	if fromVariable && (explicit || environment == FromCluster) ||
		explicit && authority == FromCluster {
		r.ignore("authority-host", "because of "+environment)
	}
	// A cluster's claims do not say that clients want a proof of possession.
	if r.From["pop-claims"] == FromCluster && !r.PoPEnabled {
		r.ignore("pop-claims", "without --pop-enabled")
	}
	// A federated token comes from one place. If both are flags, Check refuses them.
	file, variable := r.From["federated-token-file"], r.From["federated-token-env"]
	isFlag := variable == "--federated-token-env"
	switch {
	case file == "" || variable == "" || isFlag && file == "--federated-token-file":
	case isFlag && r.setExplicitly("federated-token-file") && file != FromCluster:
		r.ignore("federated-token-env", "because of "+file)
	default:
		r.ignore("federated-token-file", "because of "+variable)
	}
}

// ignore removes a flag's value, and notes why.
func (r *Request) ignore(flag, why string) {
	reflect.ValueOf(r).Elem().FieldByName(flagFieldName(flag)).SetZero()
	r.From[flag] += ", ignored " + why
}

// defaultLogin returns the name of the method for a request that names none.
func (r Request) defaultLogin(getenv func(string) string) string {
	for _, m := range Methods {
		if m.Detect != nil && m.Detect(r, getenv) {
			return m.Name
		}
	}
	return FallbackMethod
}

// resolveFlags sets the flag named by only, or, if only is "", all flags that are not set yet.
func (r *Request) resolveFlags(
	only string,
	explicit func(string) bool,
	getenv func(string) string,
) error {
	fields := reflect.ValueOf(r).Elem()
	for i := range fields.NumField() {
		tag := fields.Type().Field(i).Tag
		flag := tag.Get("name")
		if flag == "" || r.From[flag] != "" || (only != "" && only != flag) {
			continue
		}
		value, from := r.strongestSource(flag, tag, fields.Field(i), explicit, getenv)
		if from == "" {
			fields.Field(i).SetZero()
			continue
		}
		r.From[flag] = from
		if from == "--"+flag { // the field has the value
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

// strongestSource returns the strongest source of a flag that has a value, and that value. from is
// "" if there is none. value is not set if from is the flag itself.
func (r *Request) strongestSource(
	flag string,
	tag reflect.StructTag,
	field reflect.Value,
	explicit func(string) bool,
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
	lookup := func(overriding bool) (value, from string) {
		for _, v := range variables {
			if v.Overrides == overriding && r.readsVariable(v) {
				if value := v.value(getenv); counts(value) {
					return value, "$" + v.Name
				}
			}
		}
		return "", ""
	}
	if value, from = lookup(true); from != "" {
		return value, from
	}
	if explicit(flag) && (field.Kind() != reflect.String || counts(field.String())) {
		return "", "--" + flag
	}
	if value = r.Cluster[flag]; counts(value) {
		return value, FromCluster
	}
	if value, from = lookup(false); from != "" {
		return value, from
	}
	if value = tag.Get("otherwise"); value != "" {
		return value, fromDefault
	}
	return "", ""
}

// readsVariable reports whether a variable counts for this request.
func (r *Request) readsVariable(v Variable) bool {
	return (!v.Overrides || !r.DisableEnvironmentOverride) && (!v.AzureRM || r.UseAzureRMEnvVars) &&
		(v.Method == "" || slices.Contains(loginNames(r.Login), v.Method))
}

// needsOwnClientID reports whether PublicClientID does not count as a client ID.
func (r *Request) needsOwnClientID() bool {
	m, known := MethodByName(r.Login)
	return known && m.isIdentityFlag("client-id")
}

// setField sets a field of kind string, bool or time.Duration.
func setField(field reflect.Value, value string) error {
	switch field.Kind() {
	case reflect.String:
		field.SetString(value)
		return nil
	case reflect.Bool:
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		field.SetBool(on)
		return nil
	}
	d, err := ParseDuration(value)
	field.Set(reflect.ValueOf(d))
	return err
}

// ParseDuration is like time.ParseDuration, with an error for people who do not know Go's format.
func ParseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf(
			"%q is not a length of time: it needs a number and a unit, as 90s or 2m", value,
		)
	}
	return d, nil
}
