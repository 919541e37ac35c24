package stanza

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/token"
)

// notShown stands where a value may be a secret.
const notShown = "(not shown)"

// formatLogin describes a user's login, one "name: value" a line, without anything that may be a
// secret.
func formatLogin(p *kubeconfig.AuthProvider, e *kubeconfig.Exec) string {
	var text strings.Builder
	write := func(name, value string) {
		if value != "" {
			text.WriteString(token.Clean(name+": "+value) + "\n")
		}
	}
	if p != nil {
		write("auth-provider", p.Name)
		for _, name := range slices.Sorted(maps.Keys(p.Config)) {
			value := p.Config[name]
			if authProviderFlags[name] == "" && name != "config-mode" {
				value = notShown
			}
			write("  "+name, value)
		}
	}
	if e == nil {
		return text.String()
	}
	write("apiVersion", e.APIVersion)
	write("command", ShownCommand(e.Command))
	for _, arg := range redactedArgs(e.Args) {
		write("arg", arg)
	}
	for _, variable := range e.Env {
		value := notShown
		if isConfigDirVariable(variable.Name) {
			value = variable.Value
		}
		write("env "+variable.Name, value)
	}
	write("installHint", e.InstallHint)
	write("interactiveMode", e.InteractiveMode)
	if e.ProvideClusterInfo != nil {
		write("provideClusterInfo", fmt.Sprint(*e.ProvideClusterInfo))
	}
	return text.String()
}

// isConfigDirVariable reports whether a variable names a tool's folder, which is not secret.
func isConfigDirVariable(name string) bool {
	return name != "" && slices.ContainsFunc(token.Methods, func(m token.Method) bool {
		return m.Stanza.ConfigDirVariable == name
	})
}

// redactedArgs returns args with a flag and its value as one element. It replaces the values of
// secret flags, and every argument that is no flag of get-token, because that may be anything.
func redactedArgs(args []string) (redacted []string) {
	for i := 0; i < len(args); i++ {
		name, value, attached := strings.Cut(args[i], "=")
		field := flags.GetTokenField(strings.TrimPrefix(name, "--"))
		switch {
		case args[i] == "get-token", i == 0 && isPluginName(args[i]), field != nil && !attached && flags.IsBool(field.Tag.Get("name")):
			redacted = append(redacted, args[i])
			continue
		case field == nil:
			redacted = append(redacted, notShown)
			continue
		case !attached && len(args) > i+1:
			i++
			value = args[i]
		}
		if field.Tag.Get("secret") != "" {
			value = notShown
		}
		redacted = append(redacted, name+" "+value)
	}
	return redacted
}

// CommandName returns the name of the program in a command, without its path. A command with blanks
// or "=" may hold arguments or variables, and so a secret: of those it returns at most the first
// word's name, and "..." for the rest.
func CommandName(command string) string {
	name := baseName(command)
	switch strings.TrimSuffix(strings.ToLower(name), ".exe") {
	case "akslogin", "kubelogin":
		return name
	}
	if end := strings.IndexFunc(command, mayEndProgram); end >= 0 {
		return baseName(command[:end]) + " ..."
	}
	return name
}

// programName is CommandName without ".exe".
func programName(command string) string {
	name := CommandName(command)
	if end := len(name) - len(".exe"); end > 0 && strings.EqualFold(name[end:], ".exe") {
		return name[:end]
	}
	return name
}

// ShownCommand returns a command as it may be shown: whole if it is only a program's name or path,
// else its [CommandName].
func ShownCommand(command string) string {
	if strings.ContainsFunc(command, mayEndProgram) {
		return CommandName(command)
	}
	return command
}

func baseName(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }

// mayEndProgram reports whether what follows c in a command may be no part of the program's path.
func mayEndProgram(c rune) bool { return c == '=' || unicode.IsSpace(c) || unicode.IsControl(c) }
