package token

import (
	"reflect"
	"slices"
	"testing"
)

// Every flag is read from its sources in the contract's order, whichever they are.
func TestFlagSourcesApplyInOrder(t *testing.T) {
	fields := reflect.TypeFor[Request]()
	for i := range fields.NumField() {
		tag, flag := fields.Field(i).Tag, fields.Field(i).Tag.Get("name")
		if flag == "" || fields.Field(i).Type.Kind() != reflect.String {
			continue
		}
		variables := Variables(tag.Get)
		strongest := slices.IndexFunc(variables, func(v Variable) bool { return !v.Overrides })
		if strongest < 0 {
			strongest = len(variables)
		}
		// Sources from the weakest to the strongest; each is added to the ones before.
		env := map[string]string{}
		typed := func(string) bool { return false }
		r := Request{Login: "azurepipelines", UseAzureRMEnvVars: true} // a method that all variables count for
		reflect.ValueOf(&r).Elem().Field(i).SetZero()
		if flag != "login" {
			env["AAD_LOGIN_METHOD"] = "azurepipelines"
		}
		check := func(want, from string) {
			t.Helper()
			got, err := r.Resolve(typed, func(name string) string { return env[name] })
			if value := reflect.ValueOf(got).Field(i).String(); err != nil || value != want || got.From[flag] != from {
				t.Errorf("--%s: %q from %q, %v; want %q from %q", flag, value, got.From[flag], err, want, from)
			}
		}
		if otherwise := tag.Get("otherwise"); otherwise != "" {
			check(otherwise, fromDefault)
		} else if flag != "login" {
			check("", "")
		}
		fromVariable := func(v Variable) {
			env[v.Name] = "of-" + v.Name
			check("of-"+v.Name, "$"+v.Name)
		}
		for _, v := range slices.Backward(variables[strongest:]) {
			fromVariable(v)
		}
		typed = func(name string) bool { return name == flag }
		reflect.ValueOf(&r).Elem().Field(i).SetString("typed")
		check("typed", "--"+flag)
		r.DisableEnvironmentOverride = true
		for _, v := range slices.Backward(variables[:strongest]) {
			env[v.Name] = "of-" + v.Name
			if flag != "login" {
				env["AAD_LOGIN_METHOD"] = ""
			}
			check("typed", "--"+flag)
		}
		r.DisableEnvironmentOverride = false
		for _, v := range variables[:strongest] {
			delete(env, v.Name)
		}
		if flag != "login" {
			env["AAD_LOGIN_METHOD"] = "azurepipelines"
		}
		for _, v := range slices.Backward(variables[:strongest]) {
			fromVariable(v)
		}
		for _, v := range variables { // empty is unset
			env[v.Name] = ""
		}
		check("typed", "--"+flag)
	}
}
