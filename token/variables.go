package token

import (
	"strings"
)

// Variable is an environment variable that a flag is read from, besides the command line.
type Variable struct {
	Name      string
	Overrides bool   // it wins over the flag
	AzureRM   bool   // only under --use-azurerm-env-vars
	Method    string // only for this login method, when not empty
}

// Variables returns the variables named in a flag's tags, in the order in which they count.
func Variables(tag func(key string) string) []Variable {
	var vars []Variable
	for _, class := range []Variable{{AzureRM: true, Overrides: true}, {Overrides: true}, {}} {
		key := "ambient"
		if class.AzureRM {
			key = "azurerm"
		} else if class.Overrides {
			key = "overrides"
		}
		for name := range strings.SplitSeq(tag(key), ",") {
			if name == "" {
				continue
			}
			v := class
			v.Name = name
			if method, rest, found := strings.Cut(name, ":"); found {
				v.Method, v.Name = method, rest
			}
			vars = append(vars, v)
		}
	}
	return vars
}

// flagVariables are the variables that a flag is read from.
func flagVariables(flag string) []Variable { return Variables(flagTag(flag).Get) }
