package cli

import (
	"github.com/akslogin/akslogin/internal/flags"
)

// grammar is the command line.
type grammar struct {
	minimalGrammar
	Convert        convertCommand    `cmd:"" name:"convert-kubeconfig" help:"Make kubeconfigs run this program, those written for kubelogin or older."`
	Kubeconfig     kubeconfigCommand `cmd:"" help:"Write a whole kubeconfig for one cluster, or an Airflow connection that holds it."`
	Doctor         doctorCommand     `cmd:"" help:"Say what keeps a login from working, and what to do."`
	Cache          cacheCommands     `cmd:"" help:"Look at the cached tokens, or forget them."`
	RemoveCacheDir cacheClear        `cmd:"" hidden:"" help:"The same as cache clear, by the name that kubelogin has for it."`
	RemoveTokens   cacheClear        `cmd:"" hidden:"" help:"The same as cache clear, by an older name."`
}

// minimalGrammar is all that is built when a client runs the program as its plugin, since each
// command costs every start some time.
type minimalGrammar struct {
	GetToken getTokenCommand `cmd:"" help:"Print a token as an ExecCredential: the command for a kubeconfig's exec stanza."`

	flags.GlobalFlags
	Version versionFlag `name:"version" help:"Print version, commit and Go version."`
}

// parseCommand reads the program's own command line.
func parseCommand(args []string) (line *flags.CommandLine, verbosity int, err error) {
	var g grammar
	var root any = &g
	if len(args) > 0 && args[0] == "get-token" {
		root = &g.minimalGrammar
	}
	line, err = flags.Parse(args, root)
	return line, g.Verbosity, err
}
