package token

import (
	"runtime"
	"strings"
)

// unknownValue replaces a placeholder that has no value.
const unknownValue = "(unknown)"

// expandHint replaces each {placeholder} in hint by its value.
func expandHint(hint string, values map[string]string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(hint, "{")
		name, after, closed := strings.Cut(rest, "}")
		out.WriteString(before)
		if !found || !closed {
			return out.String()
		}
		value, known := values[name]
		if !known {
			value = unknownValue
		}
		out.WriteString(value)
		hint = after
	}
}

// shellWord returns a word as it is typed in a shell.
func shellWord(s string) string {
	switch special := " \t'\"$`&|;<>()*?!#~{}[]"; {
	case runtime.GOOS == "windows" && strings.ContainsAny(s, special):
		return `"` + s + `"`
	case runtime.GOOS != "windows" && strings.ContainsAny(s, special+`\`):
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// reachabilityNote is the end of a sentence that says that a host must be reachable.
func reachabilityNote(getenv func(string) string) string {
	if getenv("HTTPS_PROXY") != "" || getenv("https_proxy") != "" {
		return ", through the proxy that $HTTPS_PROXY names"
	}
	return ", or $HTTPS_PROXY must be set"
}
