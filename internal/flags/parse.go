package flags

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/token"
)

// CommandLine is a parsed command line.
type CommandLine struct {
	*kong.Context
	IgnoredArgs []string // words after get-token, which kubelogin ignores too
}

// getTokenGrammar is the grammar of an exec config's args.
type getTokenGrammar struct {
	GetToken GetToken `cmd:""`
	GlobalFlags
}

// ParseGetToken parses the args of an exec config, which begin with get-token or have it behind
// some flags. Errors are as of [Parse].
func ParseGetToken(args []string) (*CommandLine, *GetToken, error) {
	var g getTokenGrammar
	line, err := Parse(args, &g)
	return line, &g.GetToken, err
}

const (
	maxArgs     = 1000    // kong's time and memory grow with the square of the number of arguments
	maxArgsSize = 1 << 20 // bytes, of all arguments
)

// CheckSize returns a *token.UsageError if args are more, or longer, than Parse reads.
func CheckSize(args []string) error {
	size := 0
	for _, arg := range args {
		size += len(arg)
	}
	switch {
	case len(args) > maxArgs:
		text := fmt.Sprintf("too many arguments: %d, and the limit is %d", len(args), maxArgs)
		return &token.UsageError{Text: text}
	case size > maxArgsSize:
		text := fmt.Sprintf("the arguments are too long: %d bytes in all, and the limit is %d", size, maxArgsSize)
		return &token.UsageError{Text: text}
	}
	return nil
}

// Parse parses args, which do not include the program's name, into the grammar: a pointer to a
// struct with kong's tags. It takes the spellings that pflag takes; see [normalizeArgs]. Its error
// is a *token.UsageError that repeats no value.
func Parse(args []string, grammar any) (*CommandLine, error) {
	if err := CheckSize(args); err != nil {
		return nil, err
	}
	parser, err := NewParser(grammar)
	if err != nil {
		return nil, err
	}
	normalized, ignored, err := normalizeArgs(args, parser.Model)
	if err != nil {
		return nil, withHelp(err, commandWords(commandOf(parser.Model.Node, args)))
	}
	words := normalized
	if i := slices.IndexFunc(words, func(arg string) bool { return strings.HasPrefix(arg, "-") }); i >= 0 {
		words = words[:i]
	}
	command := commandOf(parser.Model.Node, words)
	switch depth := len(strings.Fields(commandWords(command))); {
	case !command.Leaf() && depth < len(words):
		return nil, withHelp(unknownCommandError(words[depth], command), commandWords(command))
	case !command.Leaf() && !asksForHelp(normalized):
		usage := &token.UsageError{Text: ErrNoCommand.Error()}
		return nil, errors.Join(withHelp(usage, commandWords(command)), ErrNoCommand)
	}
	ctx, err := parser.Parse(normalized)
	if err != nil {
		return nil, withHelp(&token.UsageError{Text: err.Error()}, commandWords(command))
	}
	return &CommandLine{ctx, ignored}, nil
}

// ErrNoCommand is in the error for a command line without a command, or with one that needs
// another.
var ErrNoCommand = errors.New("no command is given")

// NewParser returns kong's parser for the grammar, with this program's help.
func NewParser(grammar any) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name(process.Name()),
		kong.Description(description),
		kong.Help(printHelp),
		kong.ExplicitGroups(flagGroups),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(FlagHelp),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeDuration)),
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeString)),
		kong.PostBuild(func(k *kong.Kong) error { k.Model.HelpFlag.Help = "Print this help."; return nil }),
	)
}

// Run runs the selected command. binds are values that its Run method takes, by type. A wrong usage
// that has no hint gets one that names the command's help.
func (line *CommandLine) Run(binds ...any) error {
	return withHelp(line.Context.Run(append(binds, line)...), commandWords(line.Selected()))
}

// Explicit reports whether the flag was given on the command line.
func (line *CommandLine) Explicit(flag string) bool {
	for _, p := range line.Path {
		if p.Flag != nil && p.Flag.Name == flag && !p.Resolved {
			return true
		}
	}
	return false
}

// decodeString sets target to the value as given. kong's own decoder goes through JSON, which
// replaces bytes that are not UTF-8; a path may contain them.
func decodeString(ctx *kong.DecodeContext, target reflect.Value) error {
	value, err := ctx.Scan.PopValue("string")
	if err == nil {
		target.SetString(value.String())
	}
	return err
}

// decodeDuration is kong's decoder of durations. It takes what token.ParseDuration takes.
func decodeDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	var value string
	if err := ctx.Scan.PopValueInto("time", &value); err != nil {
		return err
	}
	d, err := token.ParseDuration(value)
	target.SetInt(int64(d))
	return err
}

// EnvSubset returns a getenv that knows only the variables whose names end in one of the suffixes.
func EnvSubset(suffixes ...string) func(string) string {
	return func(variable string) string {
		for _, suffix := range suffixes {
			if strings.HasSuffix(variable, suffix) {
				return envvar.Get(variable)
			}
		}
		return ""
	}
}

// ResolveArgs resolves an exec config's args as get-token will, with several logins as written.
// cluster is what the cluster's config sets. Of the environment it reads only client and tenant
// IDs.
func ResolveArgs(args []string, cluster Values) (token.Request, error) {
	args = append(slices.Clip(args), "--disable-environment-override")
	line, get, err := ParseGetToken(args)
	if err != nil {
		return token.Request{}, err
	}
	get.Cluster = cluster
	return get.ResolveStanza(line.Explicit, EnvSubset("_CLIENT_ID", "_TENANT_ID"))
}
