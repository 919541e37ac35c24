package cli

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/execcredential"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
	"golang.org/x/term"
)

// getTokenCommand is the command that kubeconfigs name.
type getTokenCommand struct{ flags.GetToken }

// Run is the way of a token: what Kubernetes wants, what the request is, cache or exchange, answer.
func (g *getTokenCommand) Run(line *flags.CommandLine, w options, log *slog.Logger) error {
	asked, err := execcredential.ParseInfo(envvar.Get(execcredential.InfoVariable))
	if err != nil {
		return &token.UsageError{Text: err.Error()}
	}
	request, err := g.Resolve(line.Explicit, envvar.Get)
	if err != nil {
		return err
	}
	if len(line.IgnoredArgs) > 0 {
		log.Debug("words after get-token are ignored", "number", len(line.IgnoredArgs))
	}
	dir := w.cacheDir(g.Cache)
	ctx, surroundings, end := startLogin(request, dir, w, log)
	defer end()
	surroundings.Prompt = promptWriter(asked.Interactive)
	var presented []byte
	surroundings.Store = func(secret []byte, inputs []string) token.Store {
		presented = secret
		return cacheStore(dir, secret, inputs)
	}
	answer, err := token.Get(ctx, request, surroundings)
	if err != nil {
		return err
	}
	var printed bytes.Buffer
	if err := execcredential.Write(
		&printed,
		asked.APIVersion,
		answer.Value,
		answer.ReportedExpiry(dir.Now()),
	); err != nil {
		return err
	}
	signal.Notify(
		make(chan os.Signal, 1),
		syscall.SIGPIPE,
	) // a client that has gone is an error with a name, not a silent end
	if _, err := os.Stdout.Write(printed.Bytes()); err != nil {
		return err
	}
	end()                                        // what was printed stands, however long a disk takes for the memo
	if w.verbosity == 0 && !request.PoPEnabled { // whose every run has something to say, or to sign
		from, until := answer.ServeWindow()
		w.warm.Save(printed.Bytes(), dir.Now(), from, until, presented, dir.Path, dir.PutWarmStart)
	}
	return nil
}

// promptWriter is where a person can be asked to sign in: where the client says that somebody is
// there, else where somebody sees what is written on standard error. nil: nobody is there.
func promptWriter(interactive *bool) io.Writer {
	if interactive == nil && term.IsTerminal(int(os.Stderr.Fd())) ||
		interactive != nil && *interactive {
		return os.Stderr
	}
	return nil
}
