// Package stanza knows the exec config (the "exec" stanza of a kubeconfig's user) that runs
// get-token: how its args are read, which args a login method gets, and how an existing user is
// converted.
package stanza

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/execcredential"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/token"
)

// ErrIncompletePoP is a wrong usage: proof of possession takes two flags.
var ErrIncompletePoP error = &token.UsageError{
	Text: "--pop-enabled and --pop-claims must be given together",
}

// programOf returns the program that an exec config runs, and the args that lead to it: kubectl
// runs a plugin by the first argument.
func programOf(e *kubeconfig.Exec) (program string, prefix []string) {
	if len(e.Args) == 0 || !strings.EqualFold(programName(e.Command), "kubectl") {
		return e.Command, nil
	}
	if !isPluginName(e.Args[0]) {
		return e.Command, nil
	}
	return e.Args[0], e.Args[:1]
}

// isPluginName reports whether kubectl runs this program or kubelogin by the argument.
func isPluginName(arg string) bool {
	return arg == "akslogin" || arg == "kubelogin" || "kubectl-"+arg == process.Name()
}

// RunsThisProgram reports whether an exec config runs this program or kubelogin.
func RunsThisProgram(e *kubeconfig.Exec) bool {
	program, prefix := programOf(e)
	return len(prefix) > 0 || isOurCommand(program)
}

// GetTokenArgs returns the args that the program gets, and the file name of the plugin that kubectl
// runs with them, "" if the program is run without kubectl.
func GetTokenArgs(e *kubeconfig.Exec) (args []string, plugin string) {
	program, prefix := programOf(e)
	if len(prefix) > 0 {
		plugin = "kubectl-" + program
	}
	return e.Args[len(prefix):], plugin
}

// ReadArgs parses the args of an exec config that runs get-token of this program or of kubelogin.
// If a flag is repeated, the last one counts, as when the plugin runs. Errors quote at most the
// name of a flag, because these args may contain anything, also a secret.
func ReadArgs(e *kubeconfig.Exec) (flags.Values, error) {
	args, _ := GetTokenArgs(e)
	if err := flags.CheckSize(args); err != nil {
		return nil, err
	}
	for _, arg := range args { // The parser would act on these and end the program.
		if arg == "help" || strings.HasPrefix(arg, "-h") ||
			strings.HasPrefix(arg, "--help") || strings.HasPrefix(arg, "--version") {
			return nil, errors.New("they ask for help or version")
		}
	}
	values, err := flags.ParseValues(args)
	if err == nil {
		return values, nil
	}
	var usage *token.UsageError
	if errors.As(err, &usage) {
		switch text := usage.Text; {
		case strings.HasPrefix(text, "unknown command "):
			return nil, errors.New("they do not run get-token")
		case strings.HasPrefix(text, "unknown flag --") &&
			!strings.Contains(text, "secret") && !strings.Contains(text, "password"):
			return nil, err
		}
	}
	return nil, errors.New("they cannot be read")
}

// BuildArgs returns the args for a login method. It starts from the existing flags: all of them if
// the method stays, otherwise those that the method's Stanza inherits. The explicit flags win; an
// empty value or "false" removes a flag. --legacy, which get-token refuses, is left out. The error
// is a *token.UsageError if the method lacks a flag, or if get-token would refuse a value.
func BuildArgs(m token.Method, existing, explicit flags.Values) ([]string, error) {
	values := flags.Values{}
	if !m.Stanza.NoServerID {
		values["server-id"] = flags.GetTokenField("server-id").Tag.Get("otherwise")
	}
	same, shared := compareLogins(existing["login"], m.Name)
	for flag, value := range existing {
		// common means no tenant of its own, which other methods have anyway.
		if flag == "tenant-id" && !same && !slices.Contains(m.Required, flag) &&
			token.IsSharedTenant(value) && !slices.Contains(m.SharedTenants, value) {
			continue
		}
		if same || isCommon(flag) || slices.Contains(m.Stanza.Inherited, flag) || shared && methodReads(m, flag) {
			values[flag] = value
		}
	}
	for flag, value := range explicit {
		if methodReads(m, flag) {
			values[flag] = value
		}
	}
	maps.DeleteFunc(values, func(flag, value string) bool {
		return value == "" || value == "false" && flags.IsBool(flag) || flag == "legacy"
	})
	values["login"] = m.Name
	if pair := m.Stanza.Exclusive; len(pair) == 2 && values[pair[0]] != "" {
		drop := pair[1]
		if explicit[pair[1]] != "" && explicit[pair[0]] == "" {
			drop = pair[0]
		}
		delete(values, drop)
	}
	for _, flag := range m.Stanza.Required {
		if values[flag] == "" {
			return nil, &token.UsageError{Text: fmt.Sprintf("--%s is required for login %s", flag, m.Name)}
		}
	}
	if slices.Contains(m.Stanza.Flags, "pop-enabled") &&
		(values["pop-enabled"] == "") != (values["pop-claims"] == "") {
		return nil, ErrIncompletePoP
	}
	if err := values.CheckGiven(); err != nil {
		return nil, err
	}
	return values.Args(m), nil
}

// compareLogins reports whether two values of --login are the same, and whether they have a method
// in common.
func compareLogins(a, b string) (same, shared bool) {
	others := strings.Split(b, ",")
	return a == b, slices.ContainsFunc(strings.Split(a, ","), func(m string) bool { return slices.Contains(others, m) })
}

// LegacyNote says why --legacy was not written for the method, "" if neither the existing nor the
// explicit flags ask for it, or if it has no meaning there.
func LegacyNote(m token.Method, existing, explicit flags.Values) string {
	if cmp.Or(explicit["legacy"], existing["legacy"]) != "true" || !methodReads(m, "legacy") {
		return ""
	}
	return "--legacy (config-mode 0) is not written: clusters have not accepted its tokens since 2023"
}

// isCommon reports whether the flag means the same to every login method.
func isCommon(flag string) bool { return flag == "server-id" || flag == "cache-dir" }

// methodReads reports whether the flag has a meaning for the method.
func methodReads(m token.Method, flag string) bool {
	return isCommon(flag) || slices.Contains(m.Stanza.Flags, flag) ||
		slices.Contains(m.Optional, flag) || flags.GetTokenField(flag).Tag.Get("group") == "general"
}

const homepage = "https://github.com/akslogin/akslogin"

// installHint returns the text that clients show if there is no program of this name. The name
// kubelogin means Azure's program, unless this one was called by it.
func installHint(program string) string {
	page := homepage
	if isKubelogin(program) && !isThisProgram(program) {
		page = "https://github.com/Azure/kubelogin"
	}
	return program + " is not installed; this kubeconfig gets a token for the cluster with it: " + page
}

// NewExec returns a complete exec config that runs command with args.
func NewExec(m token.Method, command string, args []string) kubeconfig.Exec {
	return withDefaults(m, kubeconfig.Exec{Command: command, Args: args})
}

// withDefaults sets the fields that an exec config must have and lacks, and replaces values that
// clients or get-token would refuse.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#configuration
func withDefaults(m token.Method, e kubeconfig.Exec) kubeconfig.Exec {
	if e.APIVersion == "" || !execcredential.IsSupported(e.APIVersion) {
		e.APIVersion = "client.authentication.k8s.io/v1"
	}
	if !slices.Contains([]string{"Never", "IfAvailable", "Always"}, e.InteractiveMode) {
		e.InteractiveMode = "Never"
		if m.Interactive {
			e.InteractiveMode = "IfAvailable"
		}
	}
	if e.ProvideClusterInfo == nil {
		e.ProvideClusterInfo = new(bool)
	}
	program, _ := programOf(&e)
	if e.InstallHint == "" || isAboutOther(e.InstallHint, programName(program)) {
		e.InstallHint = installHint(programName(program))
	}
	return e
}

// isAboutOther reports whether an install hint is about kubelogin or akslogin, and not about the
// program.
func isAboutOther(hint, program string) bool {
	hint = strings.ReplaceAll(strings.ToLower(hint), homepage, "")
	return !strings.Contains(hint, strings.ToLower(program)) && (isAkslogin(hint) || isKubelogin(hint))
}

// isOurCommand reports whether a command is this program or kubelogin, with any path and suffix.
func isOurCommand(command string) bool {
	return isThisProgram(command) || isKubelogin(command)
}

// isThisProgram reports whether a command runs this program, by its own name or by the one that it
// was called by.
func isThisProgram(command string) bool {
	return isAkslogin(command) || strings.EqualFold(programName(command), process.Name())
}

func isKubelogin(command string) bool {
	return strings.Contains(strings.ToLower(command), "kubelogin")
}

func isAkslogin(command string) bool { return strings.Contains(strings.ToLower(command), "akslogin") }

// IsPortableCommand reports whether a command means the same program to all clients. A relative
// path does not: clients resolve it against the kubeconfig's folder, a temporary folder, or their
// own working directory.
func IsPortableCommand(command string) bool {
	drive := len(command) > 1 && command[1] == ':'
	return !strings.ContainsAny(command, `/\`) ||
		strings.HasPrefix(command, "/") || strings.HasPrefix(command, `\`) || drive
}

// PortableCommandError is the error for a --command that is not portable.
func PortableCommandError(command string) error {
	return &token.UsageError{
		Text: fmt.Sprintf("--command is %q, a relative path, which each client resolves "+
			"differently", command),
		Hint: "give an absolute path, or the name of a program on the client's PATH",
	}
}
