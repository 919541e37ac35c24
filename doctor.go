package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/adrg/xdg"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/kube"
	"github.com/akslogin/akslogin/token"
)

// doctorCommand looks at everything between here and an answer of the API server.
type doctorCommand struct {
	token.Request
	cacheFlags
	logFlags

	Kubeconfig string `name:"kubeconfig" group:"cluster" placeholder:"FILE" help:"The kubeconfig to look at; by default those that kubectl reads."`
	Context    string `name:"context" group:"cluster" placeholder:"NAME" help:"The context to look at; by default the current one."`
	Server     bool   `name:"server" group:"cluster" help:"Show the token to the context's API server too, and say whom it takes one for."`
	Offline    bool   `name:"offline" group:"general" help:"Send nothing anywhere."`
	Output     string `name:"output" short:"o" group:"general" placeholder:"text|json" otherwise:"text" help:"A line for each check, or JSON."`
}

// Help is what doctor --help says before the flags.
func (*doctorCommand) Help() string {
	return "Checks, first offline and then by asking, where every value comes from, the kubeconfig, what the login presents, the cache, the way to Entra ID, the exchange and its token. " +
		"The login is the one in the kubeconfig's stanza, with the flags that are given here over it. It changes and stores nothing, asks nobody, and prints nothing secret. " +
		"Each line says ok, warning or wrong, and behind an arrow what to do. Exit status: 1 where something is wrong."
}

// Run goes the way of a token, and stops at nothing.
func (c *doctorCommand) Run(line *commandLine, w world, log *slog.Logger) error {
	c.Output = cmp.Or(c.Output, "text")
	switch {
	case !slices.Contains([]string{"text", "json"}, c.Output):
		return &token.UsageError{Text: fmt.Sprintf("--output is %q: it can be text or json", c.Output)}
	case c.Server && c.Offline:
		return &token.UsageError{Text: "--server and --offline exclude each other"}
	}
	findings, err := examine(doctorOptions{
		kubeconfig: c.Kubeconfig, context: c.Context, server: c.Server, offline: c.Offline, given: line.given(),
		dir: w.dir,
		begin: func(request token.Request, dir cache.Dir) (context.Context, token.World, func()) {
			return begin(request, dir, w, log)
		},
	})
	if err != nil {
		return err
	}
	for i, f := range findings {
		findings[i] = f.Presentable()
	}
	if c.Output == "json" {
		err = writeFindings(findings)
	} else {
		err = printFindings(findings)
	}
	wrong := 0
	for _, f := range findings {
		if f.Status == token.Wrong {
			wrong++
		}
	}
	if err == nil && wrong > 0 {
		return &token.FailedError{Text: fmt.Sprintf("%d of %d checks found something wrong", wrong, len(findings))}
	}
	return err
}

// doctorOptions say what is looked at, and how.
type doctorOptions struct {
	kubeconfig, context string // "": what kubectl would take
	server, offline     bool
	given               given // get-token's flags, over those in the stanza

	dir   func(cacheFlags) cache.Dir
	begin func(token.Request, cache.Dir) (ctx context.Context, surroundings token.World, end func())
}

func examine(o doctorOptions) ([]token.Finding, error) {
	stanza, all := findStanza(o)
	for _, v := range stanza.env { // as the client does for its plugin; this process runs no other
		os.Setenv(v.Name, v.Value)
	}
	xdg.Reload()
	plugin, get, err := pluginLine(stanza.args, o.given)
	if err != nil {
		return nil, err
	}
	request, err := get.Resolve(plugin.typed, os.Getenv)
	if err != nil {
		return append(all, explained("login", err)), nil
	}
	all = append(all, request.Sources(get.Request, plugin.typed, os.Getenv, stanza.calls(o.given))...)

	dir := o.dir(get.cacheFlags)
	ctx, surroundings, end := o.begin(request, dir)
	defer end()
	diagnosis := token.Diagnose(request, surroundings)
	all = slices.Concat(all, diagnosis.Login(), []token.Finding{examineCache(dir), diagnosis.Cached()}, examineLog(get.logFlags.path()))
	if o.offline {
		return append(all, token.Finding{Status: token.Skipped, Check: "exchange", Text: "not tried: --offline"}), nil
	}
	all = append(all, diagnosis.Reach(ctx)...)
	answer, found := diagnosis.Exchange(ctx)
	all = append(all, found...)
	if o.server {
		all = append(all, askServer(ctx, stanza.cluster, answer.Value))
	}
	return all, nil
}

// pluginLine is the command line that a client would run, with the flags that were given here over it.
func pluginLine(args []string, over given) (*commandLine, *GetToken, error) {
	if len(args) == 0 {
		args = []string{"get-token"}
	}
	for _, field := range pluginFlags() {
		if value, found := over[field.Tag.Get("name")]; found {
			args = append(slices.Clip(args), "--"+field.Tag.Get("name")+"="+value)
		}
	}
	return parseGetToken(args)
}

// explained is an error as a finding.
func explained(check string, err error) token.Finding {
	e := token.Explain(err)
	return token.Finding{Status: token.Wrong, Check: check, Text: e.Text, Todo: e.Hint}
}

// examineCache says whether tokens can be kept, and what is there.
func examineCache(dir cache.Dir) token.Finding {
	found := token.Finding{Status: token.OK, Check: "cache"}
	state, err := dir.Examine()
	switch {
	case err != nil:
		found.Status, found.Text = token.Warning, dir.Path+" cannot be used, so every run asks for a token: "+err.Error()
		found.Todo = "have it, or what --cache-dir names, be a folder of this user that others cannot write to, with room; akslogin cache clear forgets what is in it"
	case state.Absent:
		found.Text = dir.Path + " is not there yet, and can be made"
	default:
		found.Text = fmt.Sprintf("%s: mode %04o, can be written; entries %d, of them expired %d, unreadable %d; locks held now %d", dir.Path, state.Mode, state.Entries, state.Expired, state.Other, state.Held)
	}
	return found
}

// examineLog says whether failed runs can be written down, where that is wanted.
func examineLog(path string) []token.Finding {
	if path == "" {
		return nil
	}
	_, absent := os.Lstat(path)
	if err := appendTo(path, nil); err != nil {
		return []token.Finding{{Status: token.Warning, Check: "log file", Text: "failed runs are not written down: " + err.Error(), Todo: "have --log-file or $AKSLOGIN_LOG_FILE name a file that this user can write to"}}
	}
	if absent != nil {
		os.Remove(path)
	}
	return []token.Finding{{Status: token.OK, Check: "log file", Text: "failed runs are appended to " + path}}
}

func writeFindings(findings []token.Finding) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Findings []token.Finding `json:"findings"`
	}{findings})
}

// printFindings writes a line for each, so that grep ^wrong finds what is wrong and what to do about it.
func printFindings(findings []token.Finding) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.TabIndent)
	for _, f := range findings {
		text := f.Text
		if f.Todo != "" {
			text += " -> " + f.Todo
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.Status, f.Check, text)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, f := range findings {
		if len(f.Show) == 0 {
			continue
		}
		if _, err := fmt.Printf("\n%s:\n    %s\n", f.Check, strings.Join(f.Show, "\n    ")); err != nil {
			return err
		}
	}
	return nil
}

// examined is the stanza that a diagnosis is about, and the cluster that it is for.
type examined struct {
	args    []string
	env     []kube.EnvVar
	cluster map[string]any // nil: none is known
}

// calls says what a source of a value is called: what stands in the kubeconfig is said to stand there.
func (s examined) calls(here given) func(from string) string {
	return func(from string) string {
		flag, isFlag := strings.CutPrefix(from, "--")
		_, typed := here[flag]
		inEnv := slices.ContainsFunc(s.env, func(v kube.EnvVar) bool { return "$"+v.Name == from })
		switch {
		case isFlag && !typed && len(s.args) > 0:
			return from + " in the kubeconfig"
		case inEnv:
			return from + " in the kubeconfig's env"
		}
		return from
	}
}
