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
	s := &flagSources{flag: flag, fieldIndex: fieldIndex, env: map[string]string{}}
	// All variables apply to this login method.
	s.request = Request{Login: "azurepipelines", UseAzureRMEnvVars: true, PoPEnabled: true}
	s.setField("")
	s.setMethodVariable("azurepipelines")
	if value := tag("otherwise"); value != "" {
		s.check(t, value, fromDefault)
	} else if flag != "login" {
		s.check(t, "", "")
	}
	for _, v := range slices.Backward(variables[overriding:]) {
		s.setVariable(v)
		s.check(t, s.valueOf(v), "$"+v.Name)
	}
	s.request.Cluster = map[string]string{flag: "of-cluster"}
	s.check(t, "of-cluster", FromCluster)
	s.setField("explicit")
	s.isExplicit = true
	s.check(t, "explicit", "--"+flag)

	s.request.DisableEnvironmentOverride = true
	for _, v := range slices.Backward(variables[:overriding]) {
		s.setVariable(v)
		s.setMethodVariable("")
		s.check(t, "explicit", "--"+flag)
	}
	s.request.DisableEnvironmentOverride = false
	for _, v := range variables[:overriding] {
		delete(s.env, v.Name)
	}
	s.setMethodVariable("azurepipelines")
	for _, v := range slices.Backward(variables[:overriding]) {
		s.setVariable(v)
		s.check(t, s.valueOf(v), "$"+v.Name)
	}
	for _, v := range variables { // an empty variable counts as unset
		s.env[v.Name] = ""
	}
	s.check(t, "explicit", "--"+flag)
}

// flagSources are the sources of a flag's value: the command line and the environment.
type flagSources struct {
	flag       string
	fieldIndex int
	request    Request // as the command line sets it
	isExplicit bool    // the flag is on the command line
	env        map[string]string
}

func (s *flagSources) setField(value string) {
	reflect.ValueOf(&s.request).Elem().Field(s.fieldIndex).SetString(value)
}

func (s *flagSources) setVariable(v Variable) { s.env[v.Name] = "of-" + v.Name }

// valueOf returns the value that a variable supplies: its name if it holds a secret, or its value.
func (s *flagSources) valueOf(v Variable) string {
	if v.Names {
		return v.Name
	}
	return s.env[v.Name]
}

// setMethodVariable selects a login method, unless the method is the flag under test.
func (s *flagSources) setMethodVariable(method string) {
	if s.flag != "login" {
		s.env["AAD_LOGIN_METHOD"] = method
	}
}

// check fails the test unless Resolve finds the value want and reports source as its source.
func (s *flagSources) check(t *testing.T, want, source string) {
	t.Helper()
	isExplicit := func(name string) bool {
		return s.isExplicit && name == s.flag || name == "pop-enabled"
	}
	getenv := func(name string) string { return s.env[name] }
	resolved, err := s.request.Resolve(isExplicit, getenv)
	got, gotSource := reflect.ValueOf(resolved).Field(s.fieldIndex).String(), resolved.From[s.flag]
	if err != nil || got != want || gotSource != source {
		t.Errorf("%q from %q, %v; want %q from %q", got, gotSource, err, want, source)
	}
}
