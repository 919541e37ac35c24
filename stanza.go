package main

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/akslogin/akslogin/kube"
	"github.com/akslogin/akslogin/token"
)

// given are flags of get-token by name, with their values; a bool's is "true" or "false".
type given map[string]string

// given returns the flags of get-token that stood on the command line.
func (line *commandLine) given() given {
	g := given{}
	for _, p := range line.Path {
		if p.Flag != nil && !p.Resolved && pluginFlag(p.Flag.Name) != nil {
			g[p.Flag.Name] = fmt.Sprint(line.FlagValue(p.Flag))
		}
	}
	return g
}

// pluginFlags are the fields of get-token's flags, in their order.
var pluginFlags = sync.OnceValue(func() []reflect.StructField { return reflect.VisibleFields(reflect.TypeFor[GetToken]()) })

// pluginFlag finds a flag's field; nil: get-token has no such flag.
func pluginFlag(name string) *reflect.StructField {
	for _, field := range pluginFlags() {
		if name != "" && field.Tag.Get("name") == name {
			return &field
		}
	}
	return nil
}

// readStanza reads the args of an exec stanza that runs get-token of this program or of kubelogin. The last of a repeated flag counts, as when
// it runs. Its errors repeat no more than the name of a flag: anything may stand in these args.
func readStanza(e *kube.Exec) (given, error) {
	for _, arg := range e.Args { // the parser would act upon these, and end the program
		if arg == "help" || strings.HasPrefix(arg, "-h") || strings.HasPrefix(arg, "--help") || strings.HasPrefix(arg, "--version") {
			return nil, errors.New("they ask for help or version")
		}
	}
	line, _, err := parseGetToken(e.Args)
	var usage *token.UsageError
	switch {
	case errors.As(err, &usage) && strings.HasPrefix(usage.Text, "unknown command "):
		return nil, errors.New("they do not run get-token")
	case errors.As(err, &usage) && strings.HasPrefix(usage.Text, "unknown flag --") && !strings.Contains(usage.Text, "secret") && !strings.Contains(usage.Text, "password"):
		return nil, err
	case err != nil:
		return nil, errors.New("they cannot be read")
	}
	return line.given(), nil
}

// stanza returns the args for a login method: from those that stood there before and those that were typed now. Where the method stays, all
// that stood there stays; where it changes, what the method's Stanza names. What was typed wins; an empty value and a false one take the flag away.
func stanza(m token.Method, before, typed given) ([]string, error) {
	want := given{"server-id": pluginFlag("server-id").Tag.Get("otherwise")}
	for flag, value := range before {
		if before["login"] == m.Name || flag == "server-id" || flag == "cache-dir" || slices.Contains(m.Stanza.Inherits, flag) {
			want[flag] = value
		}
	}
	for flag, value := range typed {
		if reads(m, flag) {
			want[flag] = value
		}
	}
	maps.DeleteFunc(want, func(flag, value string) bool {
		return value == "" || value == "false" && pluginFlag(flag).Type.Kind() == reflect.Bool
	})
	want["login"] = m.Name
	if m.Name == "msi" && want["client-id"] != "" { // the two name the same; of both, kubelogin writes the client ID
		other := "identity-resource-id"
		if typed[other] != "" && typed["client-id"] == "" {
			other = "client-id"
		}
		delete(want, other)
	}
	for _, flag := range m.Stanza.Requires {
		if want[flag] == "" {
			return nil, &token.UsageError{Text: fmt.Sprintf("--%s is required for login %s", flag, m.Name)}
		}
	}
	if slices.Contains(m.Stanza.Writes, "pop-enabled") && (want["pop-enabled"] == "") != (want["pop-claims"] == "") {
		return nil, &token.UsageError{Text: "--pop-enabled and --pop-claims go together, and only one of them is given"}
	}
	return want.args(m), nil
}

// reads tells whether a flag that is typed means something to a method.
func reads(m token.Method, flag string) bool {
	return flag == "server-id" || flag == "cache-dir" || slices.Contains(m.Stanza.Writes, flag) || slices.Contains(m.Uses, flag) ||
		pluginFlag(flag).Tag.Get("group") == "general"
}

// args writes the flags, in kubelogin's order and then in that of the help.
func (g given) args(m token.Method) []string {
	order := slices.Concat([]string{"login", "server-id", "cache-dir"}, m.Stanza.Writes)
	for _, field := range pluginFlags() {
		if name := field.Tag.Get("name"); name != "" && !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	args := []string{"get-token"}
	for _, flag := range order {
		switch value, given := g[flag]; {
		case !given:
		case pluginFlag(flag).Type.Kind() == reflect.Bool:
			args = append(args, "--"+flag)
		case strings.HasPrefix(value, "-"): // parsers differ about a value that looks like a flag
			args = append(args, "--"+flag+"="+value)
		default:
			args = append(args, "--"+flag, value)
		}
	}
	return args
}

const installHint = "akslogin is not installed; this kubeconfig gets a token for the cluster with it: https://github.com/akslogin/akslogin"

// newStanza is a new stanza around args.
func newStanza(m token.Method, command string, args []string) kube.Exec {
	e := kube.Exec{Command: command, Args: args}
	return completed(m, e)
}

// completed fills in what a stanza has to say and does not, and replaces what clients and get-token would refuse.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#configuration
func completed(m token.Method, e kube.Exec) kube.Exec {
	if _, err := kube.ReadExecInfo(fmt.Sprintf(`{"apiVersion":%q}`, e.APIVersion)); err != nil || e.APIVersion == "" {
		e.APIVersion = "client.authentication.k8s.io/v1"
	}
	if !slices.Contains([]string{"Never", "IfAvailable", "Always"}, e.InteractiveMode) {
		e.InteractiveMode = "Never"
		if m.Asks {
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
