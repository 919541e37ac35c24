package flags

import (
	"reflect"

	"github.com/akslogin/akslogin/token"
)

// OverridesFlag tells whether a variable wins over a flag.
func OverridesFlag(variable string) bool {
	return anyFlagReads(
		variable,
		func(_ reflect.StructField, v token.Variable) bool { return v.Overrides },
	)
}

// IsSecretVariable tells whether a variable holds the value of a secret flag.
func IsSecretVariable(variable string) bool {
	return anyFlagReads(
		variable,
		func(field reflect.StructField, _ token.Variable) bool { return field.Tag.Get("secret") != "" },
	)
}

// anyFlagReads tells whether a flag is read from a variable in a certain way.
func anyFlagReads(variable string, is func(reflect.StructField, token.Variable) bool) bool {
	for _, field := range GetTokenFields() {
		for _, v := range token.Variables(field.Tag.Get) {
			if v.Name == variable && is(field, v) {
				return true
			}
		}
	}
	return false
}
