package token

import (
	"reflect"
	"slices"
	"testing"
)

// For every flag, the sources of its value apply in the documented order. From the weakest to the
// strongest: the default, variables, the command line, variables that override the command line.
func TestFlagSourcesApplyInOrder(t *testing.T) {
	fields := reflect.TypeFor[Request]()
	for i := range fields.NumField() {
		field := fields.Field(i)
		if flag := field.Tag.Get("name"); flag != "" && field.Type.Kind() == reflect.String {
			t.Run(flag, func(t *testing.T) { testFlagSources(t, i, flag, field.Tag.Get) })
		}
	}
}

// testFlagSources adds the sources of a flag one by one, from the weakest to the strongest.
// fieldIndex is the index of the flag's field in Request.
func testFlagSources(t *testing.T, fieldIndex int, flag string, tag func(string) string) {
	variables := Variables(tag) // from the strongest to the weakest
	isWeaker := func(v Variable) bool { return !v.Overrides }
	overriding := slices.IndexFunc(variables, isWeaker) // number of variables that override
	if overriding < 0 {
		overriding = len(variables)
	}
	env := map[string]string{}
	explicit := func(string) bool { return false }
	// All variables apply to this login method.
	r := Request{Login: "azurepipelines", UseAzureRMEnvVars: true}
	setField := func(value string) {
		reflect.ValueOf(&r).Elem().Field(fieldIndex).SetString(value)
	}
	setMethodVariable := func(method string) {
		if flag != "login" {
			env["AAD_LOGIN_METHOD"] = method
		}
	}
	check := func(want, source string) {
		t.Helper()
		resolved, err := r.Resolve(explicit, func(name string) string { return env[name] })
		got := reflect.ValueOf(resolved).Field(fieldIndex).String()
		if err != nil || got != want || resolved.From[flag] != source {
			t.Errorf("%q from %q, %v; want %q from %q", got, resolved.From[flag], err, want, source)
		}
	}
	setAndCheck := func(v Variable) {
		env[v.Name] = "of-" + v.Name
		check("of-"+v.Name, "$"+v.Name)
	}

	setField("")
	setMethodVariable("azurepipelines")
	if value := tag("otherwise"); value != "" {
		check(value, fromDefault)
	} else if flag != "login" {
		check("", "")
	}
	for _, v := range slices.Backward(variables[overriding:]) {
		setAndCheck(v)
	}
	explicit = func(name string) bool { return name == flag }
	setField("explicit")
	check("explicit", "--"+flag)

	r.DisableEnvironmentOverride = true
	for _, v := range slices.Backward(variables[:overriding]) {
		env[v.Name] = "of-" + v.Name
		setMethodVariable("")
		check("explicit", "--"+flag)
	}
	r.DisableEnvironmentOverride = false
	for _, v := range variables[:overriding] {
		delete(env, v.Name)
	}
	setMethodVariable("azurepipelines")
	for _, v := range slices.Backward(variables[:overriding]) {
		setAndCheck(v)
	}
	for _, v := range variables { // an empty variable counts as unset
		env[v.Name] = ""
	}
	check("explicit", "--"+flag)
}
