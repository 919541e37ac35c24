package stanza

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/token"
)

// formatLogin is a login for people: what may be a secret is left out.
func formatLogin(p *kubeconfig.AuthProvider, e *kubeconfig.Exec) string {
	var text strings.Builder
	say := func(name, value string) {
		if value != "" {
			text.WriteString(token.Clean(name+": "+value) + "\n")
		}
	}
	if p != nil {
		say("auth-provider", p.Name)
		for _, name := range slices.Sorted(maps.Keys(p.Config)) {
			if authProviderFlags[name] == "" && name != "config-mode" {
				say("  "+name, notShown)
				continue
			}
			say("  "+name, p.Config[name])
		}
	}
	if e == nil {
		return text.String()
	}
	say("apiVersion", e.APIVersion)
	say("command", e.Command[:strings.LastIndexAny(e.Command, `/\\`)+1]+CommandName(e.Command))
	for flag := range redactedArgs(e.Args) {
		say("arg", flag)
	}
	for _, variable := range e.Env {
		value := notShown
		if isConfigDirVariable(variable.Name) {
			value = variable.Value
		}
		say("env "+variable.Name, value)
	}
	say("installHint", e.InstallHint)
	say("interactiveMode", e.InteractiveMode)
	if e.ProvideClusterInfo != nil {
		say("provideClusterInfo", fmt.Sprint(*e.ProvideClusterInfo))
	}
	return text.String()
}

// isConfigDirVariable reports whether a variable names a tool's folder, which is not secret.
func isConfigDirVariable(name string) bool {
	return name != "" && slices.ContainsFunc(token.Methods, func(m token.Method) bool {
		return m.Stanza.ConfigDirVariable == name
	})
}

// redactedArgs yields args, a flag and its value together. Values of secret flags are left out, and
// all that is no flag: it may be anything.
func redactedArgs(args []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(args); i++ {
			name, value, attached := strings.Cut(args[i], "=")
			field := flags.GetTokenField(strings.TrimPrefix(name, "--"))
			text := notShown
			switch {
			case args[i] == "get-token",
				field != nil && !attached && field.Type.Kind() == reflect.Bool:
				text = args[i]
			case field != nil:
				if !attached && len(args) > i+1 {
					i++
					value = args[i]
				}
				if field.Tag.Get("secret") != "" {
					value = notShown
				}
				text = name + " " + value
			}
			if !yield(text) {
				return
			}
		}
	}
}

const notShown = "(not shown)"

// CommandName is what may be shown of a command: its name, and not what somebody wrote behind it.
func CommandName(command string) string {
	name, more, _ := strings.Cut(command[strings.LastIndexAny(command, `/\`)+1:], " ")
	if more != "" {
		name += " ..."
	}
	return name
}
