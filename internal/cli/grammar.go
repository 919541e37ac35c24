package cli

import "github.com/akslogin/akslogin/internal/flags"

// grammar is the whole command line. A command is a file with a struct, its flags in the struct's
// tags, and a line here.
type grammar struct {
	getTokenGrammar
	Convert        convertCommand    `cmd:"" name:"convert-kubeconfig" help:"Make kubeconfigs run this program, those written for kubelogin or older."`
	Kubeconfig     kubeconfigCommand `cmd:"" help:"Write a whole kubeconfig for one cluster, or an Airflow connection that holds it."`
	Doctor         doctorCommand     `cmd:"" help:"Say what keeps a login from working, and what to do."`
	Cache          cacheCommands     `cmd:"" help:"Look at the cached tokens, or forget them."`
	RemoveCacheDir cacheClear        `cmd:"" hidden:"" help:"The same as cache clear, by the name that kubelogin has for it."`
	RemoveTokens   cacheClear        `cmd:"" hidden:"" help:"The same as cache clear, by an older name."`
	Install        installCommand    `cmd:"" help:"Copy this program into a folder, as an init container does for another container."`
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
	if len(args) > 0 && args[0] == "get-token" {
		root = &g.getTokenGrammar
	}
	line, err = flags.Parse(args, root)
	return line, g.Verbosity, err
}
