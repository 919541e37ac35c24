package flags

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/token"
	"github.com/alecthomas/kong"
)

func NewParser(grammar any) (*kong.Kong, error) {
	return kong.New(
		grammar,
		kong.Name("akslogin"),
		kong.Description(description),
		kong.Help(
			printHelp,
		),
		kong.ExplicitGroups(flagGroups),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(helpWithVariables),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeDuration)),
		kong.PostBuild(
			func(k *kong.Kong) error { k.Model.HelpFlag.Help = "Print this."; return nil },
		),
	)
}

// CommandLine is what was typed.
type CommandLine struct {
	*kong.Context
	IgnoredArgs []string // words that were given to get-token, which kubelogin takes without a word
}

// getTokenGrammar is the command line in a kubeconfig's exec stanza.
type getTokenGrammar struct {
	GetToken GetToken `cmd:""`
	GlobalFlags
}

// ParseGetToken reads the args of an exec stanza.
func ParseGetToken(args []string) (*CommandLine, *GetToken, error) {
	var g getTokenGrammar
	line, err := Parse(args, &g)
	return line, &g.GetToken, err
}

// Parse reads a command line as kubeconfigs in the field have it, those written for kubelogin among
// them.
func Parse(args []string, grammar any) (*CommandLine, error) {
	parser, err := NewParser(grammar)
	if err != nil {
		return nil, err
	}
	normal, ignored, err := normalizeArgs(args, parser.Model)
	if err != nil {
		return nil, err
	}
	ctx, err := parser.Parse(normal)
	if err != nil {
		return nil, &token.UsageError{Text: err.Error(), Hint: helpHint}
	}
	return &CommandLine{ctx, ignored}, nil
}

// Run runs the command that was chosen.
func (line *CommandLine) Run(binds ...any) error { return line.Context.Run(append(binds, line)...) }

// Explicit tells whether a flag stood on the command line.
func (line *CommandLine) Explicit(flag string) bool {
	for _, p := range line.Path {
		if p.Flag != nil && p.Flag.Name == flag && !p.Resolved {
			return true
		}
	}
	return false
}

// decodeDuration reads a flag's time in words for people.
func decodeDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	var value string
	if err := ctx.Scan.PopValueInto("time", &value); err != nil {
		return err
	}
	d, err := token.ParseDuration(value)
	target.SetInt(int64(d))
	return err
}

// EnvSubset is an environment of some variables, by the ends of their names.
func EnvSubset(ends ...string) func(string) string {
	return func(variable string) string {
		if slices.ContainsFunc(
			ends,
			func(end string) bool { return strings.HasSuffix(variable, end) },
		) {
			return envvar.Get(variable)
		}
		return ""
	}
}

// ResolveArgs resolves args as get-token will, with what this environment says of identities.
func ResolveArgs(args []string) (token.Request, error) {
	line, get, err := ParseGetToken(append(args, "--disable-environment-override"))
	if err != nil {
		return token.Request{}, err
	}
	return get.Resolve(line.Explicit, EnvSubset("_CLIENT_ID", "_TENANT_ID"))
}
