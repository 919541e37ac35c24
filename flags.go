package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/alecthomas/kong"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/token"
)

// grammar is the command line.
type grammar struct {
	GetToken       GetToken      `cmd:"" help:"Print a token as an ExecCredential: the command for a kubeconfig's exec stanza."`
	Cache          cacheCommands `cmd:"" help:"Look at the cached tokens, or forget them."`
	RemoveCacheDir cacheClear    `cmd:"" hidden:"" help:"The same as cache clear, by the name that kubelogin has for it."`
	RemoveTokens   cacheClear    `cmd:"" hidden:"" help:"The same as cache clear, by an older name."`

	Verbosity   int         `name:"v" short:"v" placeholder:"LEVEL" help:"Say on standard error what is done. Any level says everything; none of it is secret."`
	LogToStderr bool        `name:"logtostderr" hidden:"" help:"Accepted, for kubelogin's sake."`
	Version     versionFlag `name:"version" help:"Print version, commit and Go version."`
}

var groups = []kong.Group{
	{Key: "login", Title: "Login:"},
	{Key: "workloadidentity", Title: "Login with a federated token (workloadidentity):"},
	{Key: "other", Title: "Other login methods (accepted; not built yet):"},
	{Key: "cache", Title: "Cache:"},
	{Key: "general", Title: "General:"},
}

const description = "An exec credential plugin for AKS: exchanges a federated token at Microsoft Entra ID for the cluster's token."

// Help is what get-token --help says before the flags.
func (*GetToken) Help() string {
	return `A variable with ! wins over the flag, the others yield to it; an empty variable is an unset one. Besides those named with the flags, these are read:

    KUBERNETES_EXEC_INFO
    ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN       (GitHub Actions)
    AZURE_KUBERNETES_TOKEN_PROXY, AZURE_KUBERNETES_SNI_NAME,
    AZURE_KUBERNETES_CA_FILE, AZURE_KUBERNETES_CA_DATA                 (AKS identity bindings)
    AZURE_REGIONAL_AUTHORITY_NAME, MSAL_FORCE_REGION                   (Entra ID's regional addresses)
    HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR

Exit status: 1 the login failed, 2 wrong usage, 3 a person is needed.`
}

func newParser(g *grammar) (*kong.Kong, error) {
	return kong.New(g,
		kong.Name("akslogin"), kong.Description(description),
		kong.ExplicitGroups(groups), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.ValueFormatter(helpWithVariables),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(duration)),
		kong.PostBuild(func(k *kong.Kong) error { k.Model.HelpFlag.Help = "Print this."; return nil }),
	)
}

// commandLine is what was typed.
type commandLine struct {
	*kong.Context
	verbosity int
	ignored   []string // words that were given to get-token, which kubelogin takes without a word
}

// parse reads a command line as kubeconfigs in the field have it, those written for kubelogin among them.
func parse(args []string) (*commandLine, error) {
	var g grammar
	parser, err := newParser(&g)
	if err != nil {
		return nil, err
	}
	normal, ignored, err := normalise(args, parser.Model)
	if err != nil {
		return nil, err
	}
	ctx, err := parser.Parse(normal)
	if err != nil {
		return nil, &token.UsageError{Text: err.Error(), Hint: seeHelp}
	}
	return &commandLine{ctx, g.Verbosity, ignored}, nil
}

const seeHelp = "akslogin --help lists commands, akslogin get-token --help its flags"

// Run runs the command that was chosen.
func (line *commandLine) Run(binds ...any) error { return line.Context.Run(append(binds, line)...) }

// typed tells whether a flag stood on the command line.
func (line *commandLine) typed(flag string) bool {
	for _, p := range line.Path {
		if p.Flag != nil && p.Flag.Name == flag && !p.Resolved {
			return true
		}
	}
	return false
}

// normalise writes a command line that pflag would take, as kubelogin does, so that kong reads the same in it: the command first, wherever it
// stood; every flag as --name=value, whether it was -x=value, -xvalue, -x value or --name value; a value may begin with a dash. It returns
// the words that kubelogin ignores after get-token. Its errors do not repeat what may be a secret.
func normalise(args []string, model *kong.Application) (normal, ignored []string, err error) {
	var words, flags, rest []string
	long, short := flagsOf(model)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var f *kong.Flag
		var value string
		var attached bool
		switch {
		case arg == "--":
			rest, args = args, nil
			continue
		case strings.HasPrefix(arg, "--"):
			var name string
			name, value, attached = strings.Cut(arg[2:], "=")
			if f = long[name]; f == nil {
				return nil, nil, unknownFlag(arg, long)
			}
		case len(arg) > 1 && arg[0] == '-':
			if name, _, _ := strings.Cut(arg[1:], "="); len(name) > 1 && long[name] != nil {
				return nil, nil, &token.UsageError{Text: "unknown flag -" + name, Hint: "it is --" + name + ", with two dashes"}
			}
			if f = short[rune(arg[1])]; f == nil {
				return nil, nil, unknownFlag(arg, long)
			}
			value, attached = strings.TrimPrefix(arg[2:], "="), len(arg) > 2
		default:
			words = append(words, arg)
			continue
		}
		switch {
		case f.IsBool() && !attached:
			value = "true"
		case f.IsBool():
			on, err := strconv.ParseBool(value)
			if err != nil {
				return nil, nil, &token.UsageError{Text: "--" + f.Name + " is either true or false"}
			}
			value = strconv.FormatBool(on)
		case f.Name == "v" && !attached: // the level may be left out
			value = "1"
			if _, err := strconv.Atoi(first(args)); err == nil {
				value, args = args[0], args[1:]
			}
		case !attached && len(args) == 0:
			return nil, nil, &token.UsageError{Text: "--" + f.Name + " needs a value, and the command line ends there"}
		case !attached:
			value, args = args[0], args[1:]
			if name, _, _ := strings.Cut(strings.TrimPrefix(value, "--"), "="); len(name)+2 <= len(value) && long[name] != nil && strings.HasPrefix(value, "--") {
				return nil, nil, &token.UsageError{Text: "--" + f.Name + " needs a value, and the flag --" + name + " follows it"}
			}
		}
		switch {
		case f.IsBool() && value == "true": // kong's own --help and --version take no value
			flags = append(flags, "--"+f.Name)
		case f.IsBool() && (f.Name == "help" || f.Name == "version"):
		default:
			flags = append(flags, "--"+f.Name+"="+value)
		}
	}
	if name := first(words); name != "" && !slices.ContainsFunc(model.Children, func(n *kong.Node) bool { return n.Name == name }) && name != "help" {
		return nil, nil, &token.UsageError{Text: "unknown command " + name, Hint: seeHelp}
	}
	switch first(words) {
	case "help":
		words, flags = words[1:], append(flags, "--help")
	case "get-token":
		words, ignored, rest = words[:1], append(words[1:], rest...), nil
	}
	normal = append(words, flags...)
	if len(rest) > 0 {
		normal = append(append(normal, "--"), rest...)
	}
	return normal, ignored, nil
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// flagsOf returns all flags of all commands by their names, and by their short forms.
func flagsOf(model *kong.Application) (long map[string]*kong.Flag, short map[rune]*kong.Flag) {
	long, short = map[string]*kong.Flag{}, map[rune]*kong.Flag{}
	_ = kong.Visit(model, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok {
			for _, name := range append(f.Aliases, f.Name) {
				long[name] = f
			}
			if f.Short != 0 {
				short[f.Short] = f
			}
		}
		return next(nil)
	})
	return long, short
}

// unknownFlag names the flag, and leaves out what follows the name: it may be a value that was meant for a flag.
func unknownFlag(arg string, long map[string]*kong.Flag) error {
	name := arg
	if end := strings.IndexFunc(arg, func(c rune) bool {
		return c != '-' && !('a' <= c && c <= 'z') && !('A' <= c && c <= 'Z') && !('0' <= c && c <= '9')
	}); end >= 0 {
		name = arg[:end]
	}
	if long[strings.TrimPrefix(name, "--")] != nil {
		return &token.UsageError{Text: "one argument holds the flag " + name + " and more", Hint: "flag and value are two arguments, or one as " + name + "=VALUE"}
	}
	return &token.UsageError{Text: "unknown flag " + name, Hint: seeHelp}
}

// duration reads a flag's time in words for people.
func duration(ctx *kong.DecodeContext, target reflect.Value) error {
	var value string
	if err := ctx.Scan.PopValueInto("time", &value); err != nil {
		return err
	}
	d, err := token.ParseTime(value)
	target.SetInt(int64(d))
	return err
}

// versionFlag prints what the build recorded and ends the program.
type versionFlag bool

// BeforeReset is kong's hook for flags that act at once.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	printVersion(app.Stdout)
	app.Exit(0)
	return nil
}

// IsBool says that the flag takes no value.
func (versionFlag) IsBool() bool { return true }

func printVersion(w io.Writer) {
	version, commit := "(unknown)", "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				commit += " (modified)"
			}
		}
	}
	fmt.Fprintf(w, "akslogin %s\ncommit   %s\nbuilt by %s for %s/%s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// helpWithVariables fills in a flag's help, and adds the variables that it is read from and its default. Kong's own way
// of filling in would look for blanks at every start, and not only when help is asked for.
func helpWithVariables(value *kong.Value) string {
	help := strings.NewReplacer(
		"{methods}", strings.Join(token.MethodNames(true), ", "),
		"{planned}", strings.Join(token.MethodNames(false), ", "),
		"{environments}", strings.Join(token.Environments(), ", "),
		"{token_file}", token.WellKnownTokenFile,
	).Replace(value.Help)
	var notes []string
	for _, v := range token.Variables(value.Tag.Get) {
		note := "$" + v.Name
		if v.Overrides {
			note += "!"
		}
		if v.AzureRM {
			note += " under --use-azurerm-env-vars"
		}
		if v.Method != "" {
			note += " for " + v.Method
		}
		notes = append(notes, note)
	}
	if otherwise := value.Tag.Get("otherwise"); otherwise != "" {
		notes = append(notes, "default "+otherwise)
	}
	if len(notes) == 0 {
		return help
	}
	return help + " (" + strings.Join(notes, ", ") + ")"
}

// cacheFlags say where the cache is.
type cacheFlags struct {
	CacheDir string `name:"cache-dir" aliases:"token-cache-dir" group:"cache" placeholder:"FOLDER" ambient:"AKSLOGIN_CACHE_DIR,KUBECACHEDIR" help:"Folder of the cached tokens; by default akslogin in the user's cache folder."`
}

// dir is the folder that was named first: by the flag, by a variable, by the system's custom.
func (c cacheFlags) dir(w world) cache.Dir {
	d := cache.Dir{Now: w.now, Patience: w.patience}
	if d.Now == nil {
		d.Now = time.Now
	}
	for _, named := range []string{c.CacheDir, os.Getenv("AKSLOGIN_CACHE_DIR"), os.Getenv("KUBECACHEDIR")} {
		if named != "" {
			d.Path = absolute(named)
			return d
		}
	}
	d.Path = filepath.Join(xdg.CacheHome, "akslogin")
	return d
}

// absolute resolves ~, which no shell does in a kubeconfig, and a relative path. A path that cannot be resolved stays as it is; the cache refuses it.
func absolute(path string) string {
	if rest, found := strings.CutPrefix(path, "~"); found && (rest == "" || os.IsPathSeparator(rest[0])) {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
