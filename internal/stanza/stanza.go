package stanza

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/execcredential"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/token"
)

// ReadArgs reads the args of an exec stanza that runs get-token of this program or of kubelogin.
// The last of a repeated flag counts, as when it runs. Its errors repeat no more than the name of a
// flag: anything may stand in these args.
func ReadArgs(e *kubeconfig.Exec) (flags.Values, error) {
	for _, arg := range e.Args { // the parser would act upon these, and end the program
		if arg == "help" || strings.HasPrefix(arg, "-h") || strings.HasPrefix(arg, "--help") ||
			strings.HasPrefix(arg, "--version") {
			return nil, errors.New("they ask for help or version")
		}
	}
	line, _, err := flags.ParseGetToken(e.Args)
	var usage *token.UsageError
	switch {
	case errors.As(err, &usage) && strings.HasPrefix(usage.Text, "unknown command "):
		return nil, errors.New("they do not run get-token")
	case errors.As(err, &usage) && strings.HasPrefix(usage.Text, "unknown flag --") && !strings.Contains(usage.Text, "secret") && !strings.Contains(usage.Text, "password"):
		return nil, err
	case err != nil:
		return nil, errors.New("they cannot be read")
	}
	return line.Values(), nil
}

// BuildArgs returns the args for a login method: from those that stood there before and those that
// were typed now. Where the method stays, all that stood there stays; where it changes, what the
// method's Stanza names. What was typed wins; an empty value and a false one take the flag away.
func BuildArgs(m token.Method, before, typed flags.Values) ([]string, error) {
	want := flags.Values{"server-id": flags.GetTokenField("server-id").Tag.Get("otherwise")}
	for flag, value := range before {
		if before["login"] == m.Name || flag == "server-id" || flag == "cache-dir" ||
			slices.Contains(m.Stanza.Inherited, flag) {
			want[flag] = value
		}
	}
	for flag, value := range typed {
		if methodReads(m, flag) {
			want[flag] = value
		}
	}
	maps.DeleteFunc(want, func(flag, value string) bool {
		return value == "" ||
			value == "false" && flags.GetTokenField(flag).Type.Kind() == reflect.Bool
	})
	want["login"] = m.Name
	if pair := m.Stanza.Exclusive; len(pair) == 2 && want[pair[0]] != "" {
		drop := pair[1]
		if typed[pair[1]] != "" && typed[pair[0]] == "" {
			drop = pair[0]
		}
		delete(want, drop)
	}
	for _, flag := range m.Stanza.Required {
		if want[flag] == "" {
			return nil, &token.UsageError{
				Text: fmt.Sprintf("--%s is required for login %s", flag, m.Name),
			}
		}
	}
	if slices.Contains(m.Stanza.Flags, "pop-enabled") &&
		(want["pop-enabled"] == "") != (want["pop-claims"] == "") {
		return nil, &token.UsageError{
			Text: "--pop-enabled and --pop-claims go together, and only one of them is given",
		}
	}
	return want.Args(m), nil
}

// methodReads tells whether a flag that is typed means something to a method.
func methodReads(m token.Method, flag string) bool {
	return flag == "server-id" || flag == "cache-dir" || slices.Contains(m.Stanza.Flags, flag) ||
		slices.Contains(m.Optional, flag) ||
		flags.GetTokenField(flag).Tag.Get("group") == "general"
}

const installHint = "akslogin is not installed; this kubeconfig gets a token for the cluster with it: https://github.com/akslogin/akslogin"

// NewExec is a new stanza around args.
func NewExec(m token.Method, command string, args []string) kubeconfig.Exec {
	e := kubeconfig.Exec{Command: command, Args: args}
	return withDefaults(m, e)
}

// withDefaults fills in what a stanza has to say and does not, and replaces what clients and
// get-token would refuse.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#configuration
func withDefaults(m token.Method, e kubeconfig.Exec) kubeconfig.Exec {
	if _, err := execcredential.ParseInfo(
		fmt.Sprintf(`{"apiVersion":%q}`, e.APIVersion),
	); err != nil ||
		e.APIVersion == "" {
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
	if e.InstallHint == "" {
		e.InstallHint = installHint
	}
	return e
}

// IsPortableCommand tells whether a command means the same program to all clients. To them a
// relative path is one in the kubeconfig's folder, in a temporary folder, or in the folder where
// the client was started.
func IsPortableCommand(command string) bool {
	drive := len(command) > 1 && command[1] == ':'
	return !strings.ContainsAny(command, `/\`) || strings.HasPrefix(command, "/") ||
		strings.HasPrefix(command, `\`) ||
		drive
}

func PortableCommandError(command string) error {
	return &token.UsageError{
		Text: fmt.Sprintf(
			"--command is %q, a path that every client resolves in its own way",
			command,
		),
		Hint: "give an absolute path, or a name that is on the PATH there",
	}
}
