package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/execcredential"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
)

// grammar is the whole command line. A command is a file with a struct, its flags in the struct's
// tags, and a line here.
type grammar struct {
	getTokenGrammar
	Convert        convertCommand    `cmd:"" name:"convert-kubeconfig" help:"Convert kubeconfigs written for kubelogin or the azure auth-provider, so that they run this program."`
	Kubeconfig     kubeconfigCommand `cmd:"" help:"Write a complete kubeconfig for one cluster, or an Airflow connection that contains it."`
	Doctor         doctorCommand     `cmd:"" help:"Check why a login fails, and say what to do."`
	Cache          cacheCommands     `cmd:"" help:"List or remove the cached tokens."`
	RemoveCacheDir cacheClear        `cmd:"" hidden:"" help:"The same as cache clear, by the name that kubelogin has for it."`
	RemoveTokens   cacheClear        `cmd:"" hidden:"" help:"The same as cache clear, by an older name."`
	Install        installCommand    `cmd:"" help:"Copy this program into a folder, for example from an init container."`
	Completion     completionCommand `cmd:"" help:"Print a completion script for a shell."`
	ShowVersion    versionCommand    `cmd:"" name:"version" help:"Print version, commit and Go version."`
}

// getTokenGrammar is all that a client needs. kong builds the flags of every command at every
// start, so a run of get-token builds these alone.
type getTokenGrammar struct {
	GetToken getTokenCommand `cmd:"" help:"Print a token as an ExecCredential: the command for a kubeconfig's exec config."`

	flags.GlobalFlags
	Version versionFlag `name:"version" help:"Print version, commit and Go version."`
}

// parseCommand parses the program's own command line. verbosity is the level of -v, 0 without it.
func parseCommand(args []string) (line *flags.CommandLine, verbosity int, err error) {
	var g grammar
	var root any = &g
	byClient := runByClient()
	if byClient || len(args) > 0 && args[0] == "get-token" {
		root = &g.getTokenGrammar
	}
	isFlag := func(arg string) bool { return strings.HasPrefix(arg, "-") }
	line, err = flags.Parse(args, root)
	switch {
	case err != nil && byClient && !slices.Contains(args, "get-token"):
		err = errNotGetToken
	case errors.Is(err, flags.ErrNoCommand) && !slices.ContainsFunc(args, isFlag):
		line, err = flags.Parse(append(args, "--help"), root) // which ends the program
	}
	return line, g.Verbosity, err
}

// runByClient reports whether a Kubernetes client runs this program as its plugin.
func runByClient() bool { return strings.TrimSpace(envvar.Get(execcredential.InfoVariable)) != "" }

// errNotGetToken is the error for an exec config that runs another command. Other commands change
// files, or print what is no credential.
var errNotGetToken error = &token.UsageError{
	Text: "a Kubernetes client runs this program ($" + execcredential.InfoVariable + " is set), and its args do not run get-token",
	Hint: "the args of the exec config must begin with get-token; to run another command by " +
		"hand, unset $" + execcredential.InfoVariable,
}

// explainNoArgs explains an error of a run by a client that passed no arguments, so that only
// variables and the cluster's settings counted.
// https://github.com/kubernetes-client/python/issues/2356
func explainNoArgs(e token.Explanation) token.Explanation {
	e.Text = "the client passed no arguments, as release 32.0.0 of Python's package kubernetes does: " + e.Text
	if e.Exit != token.ExitLoginFailed {
		e.Hint = "use another release of it, or give the values as variables in the env of the exec config: AAD_LOGIN_METHOD, AZURE_TENANT_ID, AZURE_CLIENT_ID"
	}
	return e
}
