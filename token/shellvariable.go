package token

import (
	"fmt"
	"strings"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// checkShellVariables refuses a flag whose value is the name of a variable, which a shell would
// have replaced. Its error does not repeat the value, which may be a secret that looks like that.
func (r Request) checkShellVariables(m Method) error {
	for _, flag := range m.flags() {
		value, isText := r.flagValue(flag).(string)
		if !isText || r.From[flag] != "--"+flag || !isShellVariable(value) {
			continue
		}
		var names []string
		for _, v := range flagVariables(flag) {
			name := v.Name // without a dollar sign, because the value is redacted
			if v.AzureRM {
				name += " with --use-azurerm-env-vars"
			}
			names = append(names, name)
		}
		hint := "give the value itself"
		switch {
		case flagTag(flag).Get("names") != "":
			hint = "give the name of the variable without a dollar sign, percent signs or braces"
		case len(names) > 0:
			hint = "leave the flag out and set one of these, in the exec config's env or for the client: " +
				strings.Join(names, ", ")
		}
		return &UsageError{
			Text: fmt.Sprintf("the value of --%s is the name of a variable, such as $NAME, and "+
				"no shell replaces it: clients start this program without a shell", flag),
			Hint: hint,
		}
	}
	return nil
}

// isShellVariable reports whether value is $NAME, ${NAME} or, as on Windows, %NAME%. Without braces
// the name must be in upper case, because a password may begin with a dollar sign.
func isShellVariable(value string) bool {
	name, inBraces := strings.CutPrefix(value, "${")
	if inBraces {
		name, inBraces = strings.CutSuffix(name, "}")
		return inBraces && redact.IsPlain(name, "_")
	}
	name, found := strings.CutPrefix(value, "$")
	if rest, percent := strings.CutPrefix(value, "%"); percent {
		name, found = strings.CutSuffix(rest, "%")
	}
	return found && redact.IsPlain(name, "_") && name == strings.ToUpper(name) &&
		(name[0] < '0' || name[0] > '9')
}
