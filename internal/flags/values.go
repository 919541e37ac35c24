package flags

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/akslogin/akslogin/token"
)

// Values are values of get-token's flags by the flags' long names. A bool's value is "true" or
// "false".
type Values map[string]string

// Values returns the flags of get-token that were given on the command line.
func (line *CommandLine) Values() Values {
	values := Values{}
	for _, p := range line.Path {
		if p.Flag != nil && !p.Resolved && GetTokenField(p.Flag.Name) != nil {
			values[p.Flag.Name] = fmt.Sprint(line.FlagValue(p.Flag))
		}
	}
	return values
}

// Args returns an exec config's args with these flags: first in kubelogin's order, then in the
// order of the help.
func (values Values) Args(m token.Method) []string {
	order := slices.Concat([]string{"login", "server-id", "cache-dir"}, m.Stanza.Flags)
	for _, field := range GetTokenFields() {
		if name := field.Tag.Get("name"); name != "" && !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	args := []string{"get-token"}
	for _, flag := range order {
		switch value, ok := values[flag]; {
		case !ok:
		case IsBool(flag):
			args = append(args, "--"+flag)
		case strings.HasPrefix(value, "-"): // Parsers differ about a value that looks like a flag.
			args = append(args, "--"+flag+"="+value)
		default:
			args = append(args, "--"+flag, value)
		}
	}
	return args
}

// GetTokenFields returns the struct fields of get-token's flags, in the order of the help.
var GetTokenFields = sync.OnceValue(func() []reflect.StructField {
	return reflect.VisibleFields(reflect.TypeFor[GetToken]())
})

// GetTokenField returns the struct field of a flag, nil if get-token has no such flag.
func GetTokenField(name string) *reflect.StructField {
	for _, field := range GetTokenFields() {
		if name != "" && field.Tag.Get("name") == name {
			return &field
		}
	}
	return nil
}

// IsBool reports whether a flag of get-token takes no value.
func IsBool(flag string) bool { return GetTokenField(flag).Type.Kind() == reflect.Bool }

// OverridesFlag reports whether the variable wins over a flag of get-token.
func OverridesFlag(variable string) bool {
	return anyFlag(variable, func(_ reflect.StructField, v token.Variable) bool { return v.Overrides })
}

// IsSecretVariable reports whether the variable holds the value of a secret flag.
func IsSecretVariable(variable string) bool {
	return anyFlag(variable, func(f reflect.StructField, _ token.Variable) bool { return f.Tag.Get("secret") != "" })
}

// anyFlag reports whether a flag is read from the variable and match holds for both.
func anyFlag(variable string, match func(reflect.StructField, token.Variable) bool) bool {
	for _, field := range GetTokenFields() {
		for _, v := range token.Variables(field.Tag.Get) {
			if v.Name == variable && match(field, v) {
				return true
			}
		}
	}
	return false
}
