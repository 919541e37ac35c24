package token

import (
	"slices"
	"strings"
)

// Variable is an environment variable that supplies a flag's value.
type Variable struct {
	Name      string
	Overrides bool   // it overrides the flag on the command line
	AzureRM   bool   // it counts only with --use-azurerm-env-vars
	Method    string // the only login method for which it counts; "" for all
	Names     bool   // it holds a secret, and the flag's value is its name
}

// Variables returns the variables in a flag's tags, strongest first. tag returns the tag with a
// given key, or "", as reflect.StructTag.Get does; see [Request] for the keys.
func Variables(tag func(key string) string) []Variable {
	var all []Variable
	for _, class := range []struct {
		key      string
		template Variable
	}{
		{"azurerm", Variable{AzureRM: true, Overrides: true}},
		{"overrides", Variable{Overrides: true}},
		{"ambient", Variable{}},
	} {
		for name := range strings.SplitSeq(tag(class.key), ",") {
			if name == "" {
				continue
			}
			v := class.template
			v.Name, v.Names = name, tag("names") != ""
			if method, rest, found := strings.Cut(name, ":"); found {
				v.Method, v.Name = method, rest
			}
			all = append(all, v)
		}
	}
	return all
}

// value returns the value that the variable supplies, "" if it is unset.
func (v Variable) value(getenv func(string) string) string {
	if value := getenv(v.Name); value == "" || !v.Names {
		return value
	}
	return v.Name
}

// flagVariables returns the variables of a flag.
func flagVariables(flag string) []Variable { return Variables(flagTag(flag).Get) }

// setExplicitly reports whether a flag's value was set for this kind of program: on the command
// line or by an overriding variable. The default, ambient variables and the cluster's config do not
// count.
func (r Request) setExplicitly(flag string) bool {
	name, isVariable := strings.CutPrefix(r.From[flag], "$")
	if !isVariable {
		return r.From[flag] != fromDefault && r.From[flag] != FromCluster
	}
	return slices.ContainsFunc(flagVariables(flag), func(v Variable) bool {
		return v.Name == name && v.Overrides
	})
}
