package flags

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/akslogin/akslogin/token"
)

// Values are flags of get-token by name, with their values; a bool's is "true" or "false".
type Values map[string]string

// Values returns the flags of get-token that stood on the command line.
func (line *CommandLine) Values() Values {
	g := Values{}
	for _, p := range line.Path {
		if p.Flag != nil && !p.Resolved && GetTokenField(p.Flag.Name) != nil {
			g[p.Flag.Name] = fmt.Sprint(line.FlagValue(p.Flag))
		}
	}
	return g
}

// GetTokenFields are the fields of get-token's flags, in their order.
var GetTokenFields = sync.OnceValue(
	func() []reflect.StructField { return reflect.VisibleFields(reflect.TypeFor[GetToken]()) },
)

// GetTokenField finds a flag's field; nil: get-token has no such flag.
func GetTokenField(name string) *reflect.StructField {
	for _, field := range GetTokenFields() {
		if name != "" && field.Tag.Get("name") == name {
			return &field
		}
	}
	return nil
}

// Args writes the flags, in kubelogin's order and then in that of the help.
func (g Values) Args(m token.Method) []string {
	order := slices.Concat([]string{"login", "server-id", "cache-dir"}, m.Stanza.Flags)
	for _, field := range GetTokenFields() {
		if name := field.Tag.Get("name"); name != "" && !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	args := []string{"get-token"}
	for _, flag := range order {
		switch value, given := g[flag]; {
		case !given:
		case GetTokenField(flag).Type.Kind() == reflect.Bool:
			args = append(args, "--"+flag)
		case strings.HasPrefix(value, "-"): // parsers differ about a value that looks like a flag
			args = append(args, "--"+flag+"="+value)
		default:
			args = append(args, "--"+flag, value)
		}
	}
	return args
}
