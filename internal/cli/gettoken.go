package cli

import (
	"bytes"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/execcredential"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
)

// getTokenCommand is the command that kubeconfigs run.
type getTokenCommand struct{ flags.GetToken }

// Run reads what the client asks for, resolves the request, gets a token from the cache or from
// Entra ID, and prints it.
func (g *getTokenCommand) Run(line *flags.CommandLine, o options, log *slog.Logger) error {
	info, err := execcredential.ParseInfo(envvar.Get(execcredential.InfoVariable))
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
	dir := o.cacheDir(g.Cache)
	if _, reason := g.Fallback(); reason != nil {
		log.Debug("the cache is in the temporary folder", "folder", dir.Path, "reason", reason)
	}
	ctx, login, end := startLogin(request, dir, o, log)
	defer end()
	login.Prompt = promptWriter(request.Prompt, info.Interactive)
	var presented []byte
	login.Store = func(secret []byte, inputs []string) token.Store {
		presented = secret
		return cacheStore(dir, secret, inputs)
	}
	tok, err := token.Get(ctx, request, login)
	if err != nil {
		return err
	}
	var credential bytes.Buffer
	if err := execcredential.Write(&credential, info.APIVersion, tok.Value, tok.ReportedExpiry(dir.Now())); err != nil {
		return err
	}
	// Without this a client that has gone ends the program silently. With it, Write returns an
	// error.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if _, err := os.Stdout.Write(credential.Bytes()); err != nil {
		return err
	}
	end()                                        // The credential is already on stdout; a slow disk can only delay the stored answer.
	if o.verbosity == 0 && !request.PoPEnabled { // such runs log, or sign, every time
		from, until := tok.ServeWindow()
		o.warm.Save(credential.Bytes(), dir.Now(), from, until, presented, dir.Path, dir.PutWarmStart)
	}
	return nil
}
