package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/token"
)

// grammar is the command line.
type grammar struct {
	pluginGrammar
	Convert        convertCommand    `cmd:"" name:"convert-kubeconfig" help:"Make kubeconfigs run this program, those written for kubelogin or older."`
	Kubeconfig     kubeconfigCommand `cmd:"" help:"Write a whole kubeconfig for one cluster, or an Airflow connection that holds it."`
	Doctor         doctorCommand     `cmd:"" help:"Say what keeps a login from working, and what to do."`
	Cache          cacheCommands     `cmd:"" help:"Look at the cached tokens, or forget them."`
	RemoveCacheDir cacheClear        `cmd:"" hidden:"" help:"The same as cache clear, by the name that kubelogin has for it."`
	RemoveTokens   cacheClear        `cmd:"" hidden:"" help:"The same as cache clear, by an older name."`
}

// pluginGrammar is all that is built when a client runs the program as its plugin, since each command costs every start some time.
type pluginGrammar struct {
	GetToken getTokenCommand `cmd:"" help:"Print a token as an ExecCredential: the command for a kubeconfig's exec stanza."`

	globalFlags
	Version versionFlag `name:"version" help:"Print version, commit and Go version."`
}

// globalFlags are every command's.
type globalFlags struct {
	Verbosity   int  `name:"v" short:"v" placeholder:"LEVEL" help:"Say on standard error what is done. Any level says everything; none of it is secret."`
	LogToStderr bool `name:"logtostderr" hidden:"" help:"Accepted, for kubelogin's sake."`
}

var groups = []kong.Group{
	{Key: "cluster", Title: "Cluster, one way to it:"},
	{Key: "kubeconfig", Title: "Kubeconfig:"},
	{Key: "login", Title: "Login:"},
	{Key: "workloadidentity", Title: "Login with a federated token (workloadidentity):"},
	{Key: "methods", Title: "Other login methods:"},
	{Key: "cache", Title: "Cache:"},
	{Key: "general", Title: "General:"},
}

const description = "An exec credential plugin for AKS: gets the cluster's token from Microsoft Entra ID, by a federated token or any other login, and caches it sealed."

// printHelp is kong's, with what get-token --help says before the flags. Kong would make that at every start, for nobody.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if node := ctx.Selected(); node != nil && node.Name == "get-token" {
		node.Detail = aboutLogins()
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

func aboutLogins() string {
	var help strings.Builder
	help.WriteString("Login methods, and what they need:\n\n")
	for _, m := range token.Methods {
		fmt.Fprintf(&help, "    %s\n      %s\n", m.Name, strings.ReplaceAll(m.About, "`", ""))
		if len(m.Needs) > 0 {
			fmt.Fprintf(&help, "      needs --%s\n", strings.ReplaceAll(strings.Join(m.Needs, ", --"), "|", " or --"))
		}
	}
	help.WriteString("\nA variable with ! wins over the flag, the others yield to it; an empty variable is an unset one. Besides those named with the flags, these are read:\n\n")
	for _, v := range otherVariables {
		fmt.Fprintf(&help, "    %s\n      %s\n", strings.Join(v.Names, " "), v.About)
	}
	help.WriteString("\nExit status: 1 the login failed, 2 wrong usage, 3 a person has to sign in and nobody can be asked.")
	return help.String()
}

// OtherVariable is a group of variables that are read.
type OtherVariable struct {
	Names []string
	About string
}

// otherVariables are read besides those in the flags' tags. README.md has them too.
var otherVariables = []OtherVariable{
	{[]string{"KUBERNETES_EXEC_INFO"}, "what the client wants: the answer's version, v1 or v1beta1"},
	{[]string{"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"}, "GitHub Actions"},
	{[]string{"AZURE_KUBERNETES_TOKEN_PROXY", "AZURE_KUBERNETES_SNI_NAME", "AZURE_KUBERNETES_CA_FILE", "AZURE_KUBERNETES_CA_DATA"}, "AKS identity bindings"},
	{[]string{"AZURE_REGIONAL_AUTHORITY_NAME", "MSAL_FORCE_REGION"}, "a regional address of Entra ID"},
	{[]string{"SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"}, "Azure Pipelines"},
	{[]string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "MSI_ENDPOINT", "MSI_SECRET", "DEFAULT_IDENTITY_CLIENT_ID", "IMDS_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"},
		"managed identities elsewhere than on a virtual machine"},
	{[]string{"AZURE_CONFIG_DIR", "AZURE_CLOUD_NAME", "AZURE_SUBSCRIPTION_ID", "AZD_CONFIG_DIR", "AZD_AUTH_ENDPOINT"}, "who is signed in to az and azd"},
	{[]string{"BROWSER"}, "the browser for interactive"},
	{[]string{"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}, "the way there"},
}

func newParser(grammar any) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name("akslogin"), kong.Description(description),
		kong.Help(printHelp), kong.ExplicitGroups(groups), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.ValueFormatter(helpWithVariables),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(duration)),
		kong.PostBuild(func(k *kong.Kong) error { k.Model.HelpFlag.Help = "Print this."; return nil }),
	)
}

// commandLine is what was typed.
type commandLine struct {
	*kong.Context
	ignored []string // words that were given to get-token, which kubelogin takes without a word
}

// parseCommand reads the program's own command line.
func parseCommand(args []string) (line *commandLine, verbosity int, err error) {
	var g grammar
	var root any = &g
	if len(args) > 0 && args[0] == "get-token" {
		root = &g.pluginGrammar
	}
	line, err = parse(args, root)
	return line, g.Verbosity, err
}

// getTokenGrammar is the command line in a kubeconfig's exec stanza.
type getTokenGrammar struct {
	GetToken GetToken `cmd:""`
	globalFlags
}

// parseGetToken reads the args of an exec stanza.
func parseGetToken(args []string) (*commandLine, *GetToken, error) {
	var g getTokenGrammar
	line, err := parse(args, &g)
	return line, &g.GetToken, err
}

// parse reads a command line as kubeconfigs in the field have it, those written for kubelogin among them.
func parse(args []string, grammar any) (*commandLine, error) {
	parser, err := newParser(grammar)
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
	return &commandLine{ctx, ignored}, nil
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
		"{methods}", strings.Join(token.MethodNames(), ", "),
		"{pop}", strings.Join(token.MethodsWith("pop-enabled"), ", "),
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
func (c cacheFlags) dir() cache.Dir {
	return cache.Dir{Path: cache.Folder(valueOrVariable(c.CacheDir, reflect.TypeOf(c), "CacheDir")), Now: time.Now}
}

// valueOrVariable returns a flag's value, or else that of the first of its variables that is set.
func valueOrVariable(value string, flags reflect.Type, name string) string {
	field, _ := flags.FieldByName(name)
	for _, v := range token.Variables(field.Tag.Get) {
		value = cmp.Or(value, os.Getenv(v.Name))
	}
	return value
}
