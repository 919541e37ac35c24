package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/adrg/xdg"
	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/runlog"
	"github.com/akslogin/akslogin/token"
)

// Options say what is looked at, and how.
type Options struct {
	Kubeconfig, Context string // "": what kubectl would take
	Server, Offline     bool
	Flags               flags.Values // get-token's flags, over those in the stanza

	CacheDir   func(flags.Cache) cache.Dir
	StartLogin func(token.Request, cache.Dir) (ctx context.Context, surroundings token.Options, end func())
}

func Run(o Options) ([]token.Finding, error) {
	stanza, all := checkExecConfig(o)
	for _, v := range stanza.env { // as the client does for its plugin; this process runs no other
		os.Setenv(v.Name, v.Value)
	}
	xdg.Reload()
	plugin, get, err := effectiveCommandLine(stanza.args, o.Flags)
	if err != nil {
		return nil, err
	}
	request, err := get.Resolve(plugin.Explicit, os.Getenv)
	if err != nil {
		return append(all, token.ErrorFinding("login", err)), nil
	}
	all = append(
		all,
		request.SourceFindings(
			get.Request,
			plugin.Explicit,
			os.Getenv,
			stanza.sourceNames(o.Flags),
		)...)

	dir := o.CacheDir(get.Cache)
	ctx, surroundings, end := o.StartLogin(request, dir)
	defer end()
	diagnosis := token.Diagnose(request, surroundings)
	all = slices.Concat(
		all,
		diagnosis.CheckLogin(),
		[]token.Finding{checkCache(dir), diagnosis.CheckCache()},
		checkLogFile(get.Log.Path()),
	)
	if o.Offline {
		return append(
			all,
			token.Finding{
				Status: token.StatusSkipped,
				Check:  "exchange",
				Text:   "not tried: --offline",
			},
		), nil
	}
	all = append(all, diagnosis.CheckNetwork(ctx)...)
	answer, found := diagnosis.CheckExchange(ctx)
	all = append(all, found...)
	if o.Server {
		all = append(all, checkAPIServer(ctx, stanza.cluster, answer.Value))
	}
	return all, nil
}

// effectiveCommandLine is the command line that a client would run, with the flags that were given
// here over it.
func effectiveCommandLine(
	args []string,
	over flags.Values,
) (*flags.CommandLine, *flags.GetToken, error) {
	if len(args) == 0 {
		args = []string{"get-token"}
	}
	for _, field := range flags.GetTokenFields() {
		if value, found := over[field.Tag.Get("name")]; found {
			args = append(slices.Clip(args), "--"+field.Tag.Get("name")+"="+value)
		}
	}
	return flags.ParseGetToken(args)
}

// checkCache says whether tokens can be kept, and what is there.
func checkCache(dir cache.Dir) token.Finding {
	found := token.Finding{Status: token.StatusOK, Check: "cache"}
	state, err := dir.Check()
	switch {
	case err != nil:
		found.Status, found.Text = token.StatusWarning, dir.Path+" cannot be used, so every run asks for a token: "+err.Error()
		found.Todo = "have it, or what --cache-dir names, be a folder of this user that others cannot write to, with room; akslogin cache clear forgets what is in it"
	case state.Absent:
		found.Text = dir.Path + " is not there yet, and can be made"
	default:
		found.Text = fmt.Sprintf(
			"%s: mode %04o, can be written; entries %d, of them expired %d, unreadable %d; locks held now %d",
			dir.Path,
			state.Mode,
			state.Entries,
			state.Expired,
			state.Unreadable,
			state.LocksHeld,
		)
	}
	return found
}

// checkLogFile says whether failed runs can be written down, where that is wanted.
func checkLogFile(path string) []token.Finding {
	if path == "" {
		return nil
	}
	_, absent := os.Lstat(path)
	if err := runlog.AppendFile(path, nil); err != nil {
		return []token.Finding{
			{
				Status: token.StatusWarning,
				Check:  "log file",
				Text:   "failed runs are not written down: " + err.Error(),
				Todo:   "have --log-file or $AKSLOGIN_LOG_FILE name a file that this user can write to",
			},
		}
	}
	if absent != nil {
		os.Remove(path)
	}
	return []token.Finding{
		{Status: token.StatusOK, Check: "log file", Text: "failed runs are appended to " + path},
	}
}

// target is the stanza that a diagnosis is about, and the cluster that it is for.
type target struct {
	args    []string
	env     []kubeconfig.EnvVar
	cluster map[string]any // nil: none is known
}

// sourceNames says what a source of a value is called: what stands in the kubeconfig is said to
// stand there.
func (s target) sourceNames(here flags.Values) func(from string) string {
	return func(from string) string {
		flag, isFlag := strings.CutPrefix(from, "--")
		_, typed := here[flag]
		inEnv := slices.ContainsFunc(
			s.env,
			func(v kubeconfig.EnvVar) bool { return "$"+v.Name == from },
		)
		switch {
		case isFlag && !typed && len(s.args) > 0:
			return from + " in the kubeconfig"
		case inEnv:
			return from + " in the kubeconfig's env"
		}
		return from
	}
}
