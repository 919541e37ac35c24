package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
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

	Verbosity   verbosity   `name:"v" short:"v" group:"general" placeholder:"LEVEL" help:"Say on standard error what is done. Any level says everything; none of it is secret."`
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

const description = `An exec credential plugin for AKS: exchanges a federated token at Microsoft Entra ID for the cluster's token.

A variable with ! wins over the flag, the others yield to it; an empty variable is an unset one.`

func newParser(g *grammar) (*kong.Kong, error) {
	return kong.New(g,
		kong.Name("akslogin"), kong.Description(description),
		kong.ExplicitGroups(groups), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.ValueFormatter(helpWithVariables),
		kong.WithHyphenPrefixedParameters(true), // a secret may begin with one
		kong.Vars{
			"methods":      strings.Join(token.MethodNames(), ", "),
			"environments": strings.Join(token.Environments(), ", "),
			"token_file":   token.WellKnownTokenFile,
		})
}

// commandLine is what was typed.
type commandLine struct {
	*kong.Context
	verbosity verbosity
}

// parse reads a command line as kubeconfigs in the field have it, those written for kubelogin among them.
func parse(args []string) (*commandLine, error) {
	var g grammar
	parser, err := newParser(&g)
	if err != nil {
		return nil, err
	}
	ctx, err := parser.Parse(normalise(args, parser.Model))
	if err != nil {
		return nil, &token.UsageError{Text: err.Error(), Hint: "akslogin --help lists commands, akslogin get-token --help its flags"}
	}
	return &commandLine{ctx, g.Verbosity}, nil
}

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

// normalise turns pflag's -x=value, which kong would read as the value "=value", into -x value.
func normalise(args []string, model *kong.Application) []string {
	takesValue := map[string]bool{}
	_ = kong.Visit(model, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok && !f.IsBool() && f.Name != "v" {
			for _, name := range append(f.Aliases, f.Name) {
				takesValue["--"+name] = true
			}
			if f.Short != 0 {
				takesValue["-"+string(f.Short)] = true
			}
		}
		return next(nil)
	})
	var out []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case takesValue[arg] && i+1 < len(args): // whatever follows is its value
			out = append(out, arg, args[i+1])
			i++
		case len(arg) > 2 && arg[2] == '=' && takesValue[arg[:2]]:
			out = append(out, arg[:2], arg[3:])
		case strings.HasPrefix(arg, "-v="):
			out = append(out, "-"+arg)
		default:
			out = append(out, arg)
		}
	}
	return out
}

// verbosity is a level that may be left out: -v, -v 5, -v=5, --v=5.
type verbosity int

// Decode implements kong's interface for a flag that reads its own value.
func (v *verbosity) Decode(ctx *kong.DecodeContext) error {
	*v = 1
	next := ctx.Scan.Peek()
	level, err := strconv.Atoi(fmt.Sprint(next.Value))
	attached := next.InferredType() == kong.FlagValueToken || next.Type == kong.ShortFlagTailToken
	switch {
	case next.IsEOL(), err != nil && !attached:
		return nil
	case err != nil:
		return fmt.Errorf("--v takes a number, not %q", next.Value)
	}
	ctx.Scan.Pop()
	*v = verbosity(level)
	return nil
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

// helpWithVariables adds to a flag's help the variables that it is read from and its default.
func helpWithVariables(value *kong.Value) string {
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
		return value.Help
	}
	return value.Help + " (" + strings.Join(notes, ", ") + ")"
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
			d.Path = kong.ExpandPath(named)
			return d
		}
	}
	d.Path = filepath.Join(xdg.CacheHome, "akslogin")
	return d
}
