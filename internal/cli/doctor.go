package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/doctor"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
)

// doctorCommand reports what keeps a login from working.
type doctorCommand struct {
	token.Request
	flags.Cache
	flags.Log

	Kubeconfig string `name:"kubeconfig" group:"cluster" placeholder:"FILE" help:"The kubeconfig to look at; by default those that kubectl reads."`
	Context    string `name:"context" group:"cluster" placeholder:"NAME" help:"The context to look at; by default the current one."`
	Server     bool   `name:"server" group:"cluster" help:"Also send the token to the context's API server, if its certificate is trusted, and show which user the server takes it for."`
	Offline    bool   `name:"offline" group:"general" help:"Send no requests."`
	Output     string `name:"output" short:"o" group:"general" placeholder:"text|json" otherwise:"text" help:"A line for each check, or JSON."`
}

// Help is the text of doctor --help before the flags.
func (*doctorCommand) Help() string {
	return "Checks the source of every value, the kubeconfig, the login's credential, the cache, the network, the exchange and its token. " +
		"It checks the login of the kubeconfig's exec config; flags on this command line override it. " +
		"It changes and stores nothing, never prompts, and prints no secrets. " +
		"Each line begins with error, warning, ok, info (was not verified) or skipped; what to do follows an arrow. " +
		"Errors and warnings come first. With -v it also prints commands for settings that exist already. Exit status: 1 if there is an error."
}

// Run runs all checks, prints what they found, and returns an error if one of them failed.
func (c *doctorCommand) Run(line *flags.CommandLine, o options, log *slog.Logger) error {
	if err := checkTextOrJSON(&c.Output); err != nil {
		return err
	}
	if c.Server && c.Offline {
		return &token.UsageError{Text: "--server and --offline exclude each other"}
	}
	findings, err := doctor.Run(doctor.Options{
		Kubeconfig: expandPath(c.Kubeconfig),
		Context:    c.Context,
		Flags:      line.Values(),
		Server:     c.Server,
		Offline:    c.Offline,
		CacheDir:   o.cacheDir,
		StartLogin: func(request token.Request, dir cache.Dir) (context.Context, token.Options, func()) {
			return startLogin(request, dir, o, log)
		},
	})
	if err != nil {
		return err
	}
	failed := 0
	for i, f := range findings {
		findings[i] = f.Redacted()
		if f.Status == token.StatusError {
			failed++
		}
	}
	if c.Output == "json" {
		err = writeFindingsJSON(os.Stdout, findings)
	} else {
		err = report{findings, usesColor(os.Stdout), o.verbosity > 0}.write(os.Stdout)
	}
	if err != nil {
		return err
	}
	if failed > 0 {
		return &token.FailedError{Text: fmt.Sprintf("%d of %d checks failed", failed, len(findings))}
	}
	return nil
}

// checkTextOrJSON returns an error for a value of --output that is neither. An empty one becomes
// text.
func checkTextOrJSON(output *string) error {
	*output = cmp.Or(*output, "text")
	if *output != "text" && *output != "json" {
		return &token.UsageError{Text: fmt.Sprintf("--output is %q: it can be text or json", *output)}
	}
	return nil
}

func writeFindingsJSON(w io.Writer, findings []token.Finding) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Findings []token.Finding `json:"findings"`
	}{findings})
}
