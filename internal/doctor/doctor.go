// Package doctor checks everything between an exec config and an answer of the API server: the
// kubeconfig, where each value comes from, the login, the cache, the network, the exchange. It
// prints and stores nothing, and never prompts. Each check returns [token.Finding] values.
//
// The login is checked with get-token's own code, so doctor's verdict always matches get-token's.
package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/adrg/xdg"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/internal/runlog"
	"github.com/akslogin/akslogin/token"
)

// Options say what to check, and how.
type Options struct {
	Kubeconfig string       // an absolute path; "": the files that kubectl reads
	Context    string       // "": the current one
	Flags      flags.Values // get-token's flags that override those in the exec config
	Server     bool         // also show the token to the API server
	Offline    bool         // send nothing

	CacheDir   func(flags.Cache) cache.Dir
	StartLogin func(token.Request, cache.Dir) (ctx context.Context, login token.Options, end func())
}

// examination is what the checks look at, and what one check leaves for the next.
type examination struct {
	execConfig
	request   token.Request
	sources   []token.Finding
	dir       cache.Dir
	logFile   string
	diagnosis *token.Diagnosis
	token     token.Token // of the exchange; the zero value if there was none

	fallbackReason error // why dir is not the user's cache directory; nil if it is
}

// checks run in this order. A new check is a function and a line here, or in execConfigChecks if it
// looks at the exec config alone.
var checks = []struct {
	online bool // it sends something
	run    func(context.Context, *examination) []token.Finding
}{
	{false, func(_ context.Context, e *examination) []token.Finding { return e.sources }},
	{false, func(_ context.Context, e *examination) []token.Finding { return e.diagnosis.CheckLogin() }},
	{false, checkCacheDir},
	{false, func(_ context.Context, e *examination) []token.Finding {
		return []token.Finding{e.diagnosis.CheckCache()}
	}},
	{false, checkLogFile},
	{true, func(ctx context.Context, e *examination) []token.Finding { return e.diagnosis.CheckNetwork(ctx) }},
	{true, checkExchange},
}

// Run runs all checks and returns what they found, which is not redacted yet. The error is a
// *token.UsageError about the flags.
//
// Run sets the variables of the exec config's env in this process, as a client does for its plugin.
func Run(o Options) ([]token.Finding, error) {
	config, all := checkKubeconfig(o)
	for _, v := range config.env {
		os.Setenv(v.Name, v.Value)
	}
	xdg.Reload()
	line, get, err := effectiveCommandLine(config.args, o.Flags)
	if err != nil {
		return nil, err
	}
	get.Cluster = config.clusterFlags
	request, err := get.Resolve(line.Explicit, envvar.Get)
	if err != nil {
		return append(all, token.ErrorFinding("login", err)), nil
	}
	e := &examination{
		execConfig: config,
		request:    request,
		sources:    request.SourceFindings(get.Request, line.Explicit, envvar.Get, config.describeSource(o.Flags)),
		dir:        o.CacheDir(get.Cache),
		logFile:    get.Log.Path(),
	}
	_, e.fallbackReason = get.Fallback()
	ctx, login, end := o.StartLogin(request, e.dir)
	defer end()
	e.diagnosis = token.Diagnose(request, login)
	for _, check := range checks {
		if check.online && o.Offline {
			skipped := token.Finding{Status: token.StatusSkipped, Check: "exchange", Text: "not tried: --offline"}
			return append(all, skipped), nil
		}
		all = append(all, check.run(ctx, e)...)
	}
	if o.Server {
		all = append(all, checkAPIServer(ctx, e.cluster, e.token.Value))
	}
	return all, nil
}

// effectiveCommandLine parses the exec config's args, overridden by the explicit flags.
func effectiveCommandLine(args []string, explicit flags.Values) (*flags.CommandLine, *flags.GetToken, error) {
	if len(args) == 0 {
		args = []string{"get-token"}
	}
	for _, field := range flags.GetTokenFields() {
		name := field.Tag.Get("name")
		if value, ok := explicit[name]; ok {
			args = append(slices.Clip(args), "--"+name+"="+value)
		}
	}
	return flags.ParseGetToken(args)
}

// describeSource returns a function that describes a value's source, such as --client-id or $HOME.
// It adds "in the kubeconfig" if the flag or variable is set there.
func (c execConfig) describeSource(explicit flags.Values) func(source string) string {
	return func(source string) string {
		if flag, isFlag := strings.CutPrefix(source, "--"); isFlag {
			if _, ok := explicit[flag]; !ok && len(c.args) > 0 {
				return source + " in the kubeconfig"
			}
			return source
		}
		for _, v := range c.env {
			if "$"+v.Name == source {
				return source + " in the kubeconfig's env"
			}
		}
		return source
	}
}

func checkExchange(ctx context.Context, e *examination) (found []token.Finding) {
	e.token, found = e.diagnosis.CheckExchange(ctx)
	return found
}

// checkCacheDir reports whether tokens can be cached, and what is cached.
func checkCacheDir(_ context.Context, e *examination) []token.Finding {
	found := token.Finding{Status: token.StatusOK, Check: "cache"}
	path := e.dir.Path
	if e.fallbackReason != nil {
		path += fmt.Sprintf(", since the user's cache folder cannot be used (%v)", e.fallbackReason)
	}
	state, err := e.dir.Check()
	switch {
	case err != nil:
		found.Status = token.StatusWarning
		found.Text = path + " cannot be used, so every run asks for a token: " + err.Error()
		found.Todo = "the folder must belong to this user, must not be writable by others and " +
			"must have free space: " +
			"correct it, or name another one with --cache-dir; " + process.Name() +
			" cache clear removes its tokens"
	case state.Absent:
		found.Text = path + " does not exist yet, and can be created"
	default:
		if state.Mode != 0 {
			path += fmt.Sprintf(": mode %04o, can be written", state.Mode)
		} else {
			path += ": can be written"
		}
		found.Text = fmt.Sprintf("%s; entries %d, of them expired %d, unreadable %d; locks held now %d",
			path, state.Entries, state.Expired, state.Unreadable, state.LocksHeld)
	}
	return []token.Finding{found}
}

// checkLogFile reports whether failed runs can be logged, if there is a log file.
func checkLogFile(_ context.Context, e *examination) []token.Finding {
	if e.logFile == "" {
		return nil
	}
	_, absent := os.Lstat(e.logFile)
	if err := runlog.AppendFile(e.logFile, nil); err != nil {
		return []token.Finding{{
			Status: token.StatusWarning,
			Check:  "log file",
			Text:   "failed runs are not logged: " + err.Error(),
			Todo: "set --log-file or $AKSLOGIN_LOG_FILE to a file that belongs to this user, " +
				"is writable and is not a link",
		}}
	}
	if absent != nil {
		os.Remove(e.logFile)
	}
	return []token.Finding{{Status: token.StatusOK, Check: "log file", Text: "failed runs are appended to " + e.logFile}}
}
