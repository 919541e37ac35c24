package flags

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

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

// getTokenFlags are the flags that an exec config's args may have.
var getTokenFlags = sync.OnceValues(func() (knownFlags, error) {
	parser, err := NewParser(new(getTokenGrammar))
	if err != nil {
		return knownFlags{}, err
	}
	return collectFlags(parser.Model.Node), nil
})

// ParseValues returns what [ParseGetToken] and Values return for an exec config's args. It does not
// use kong, which takes longer than all else that converting a user takes.
func ParseValues(args []string) (Values, error) {
	known, err := getTokenFlags()
	if err != nil {
		return nil, err
	}
	words, given, _, err := known.split(args)
	if err != nil {
		return nil, err
	}
	if command := firstArg(words); command != "get-token" {
		return nil, &token.UsageError{Text: unknownCommand + command}
	}
	values := Values{}
	for _, arg := range given {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		field := GetTokenField(name)
		switch {
		case field == nil: // a flag of all commands
			continue
		case !hasValue:
			value = "true"
		case field.Type == reflect.TypeFor[time.Duration]():
			d, err := token.ParseDuration(value)
			if err != nil {
				return nil, &token.UsageError{Text: "--" + name + ": " + err.Error()}
			}
			value = d.String()
		}
		values[name] = value
	}
	return values, nil
}

// CheckGiven returns a *token.UsageError if get-token would refuse these flags, whatever variables
// supply the flags that are missing.
func (values Values) CheckGiven() error {
	r := token.Request{From: map[string]string{}}
	fields := reflect.ValueOf(&r).Elem()
	for name, value := range values {
		field := fields.FieldByName(GetTokenField(name).Name)
		if !field.IsValid() { // a flag of GetToken that is not the request's
			continue
		}
		r.From[name] = "--" + name
		switch field.Kind() {
		case reflect.Bool:
			field.SetBool(value == "true")
		case reflect.String:
			field.SetString(value)
		default:
			d, err := token.ParseDuration(value)
			if err != nil {
				return &token.UsageError{Text: "--" + name + ": " + err.Error()}
			}
			field.SetInt(int64(d))
		}
	}
	return r.CheckGiven()
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
		case strings.HasPrefix(value, "-"): // Parsers differ in how they read a value like a flag.
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
func GetTokenField(name string) *reflect.StructField { return getTokenFieldsByName()[name] }

var getTokenFieldsByName = sync.OnceValue(func() map[string]*reflect.StructField {
	byName := map[string]*reflect.StructField{}
	for _, field := range GetTokenFields() {
		if name := field.Tag.Get("name"); name != "" {
			byName[name] = &field
		}
	}
	return byName
})

// IsBool reports whether a flag of get-token takes no value.
func IsBool(flag string) bool { return GetTokenField(flag).Type.Kind() == reflect.Bool }

// OverridesFlag reports whether the variable overrides a flag of get-token.
func OverridesFlag(variable string) bool {
	return anyFlag(variable, func(_ reflect.StructField, v token.Variable) bool { return v.Overrides })
}

// IsSecretVariable reports whether the variable holds the value of a secret flag.
func IsSecretVariable(variable string) bool {
	return anyFlag(variable, func(f reflect.StructField, v token.Variable) bool { return v.Names || f.Tag.Get("secret") != "" })
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
