package cli

import (
	"bytes"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
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
	cluster, ignored, err := flags.ReadClusterConfig(info.Config, info.Server)
	if err != nil {
		return err
	}
	if len(ignored) > 0 {
		log.Debug("ignored in the cluster's config", "keys", strings.Join(ignored, ", "))
	}
	g.Cluster = cluster
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
	end() // The credential is already on stdout; a slow disk can only delay the stored answer.
	// Runs with -v log, and those with a proof of possession sign, every time.
	if o.verbosity == 0 && !request.PoPEnabled && warmStartFinds(request) {
		from, until := tok.ServeWindow()
		o.warm.Save(credential.Bytes(), dir.Now(), from, until, presented, dir.Path, dir.PutWarmStart)
	}
	return nil
}

// warmStartFinds reports whether the warm start looks for the federated token where the login did.
// It does not read other variables, nor the cluster's config, nor whether an earlier one of several
// logins could be used by now.
func warmStartFinds(r token.Request) bool {
	places := []string{"", "--federated-token-file", "$AZURE_FEDERATED_TOKEN_FILE"}
	return r.TookFirstLogin() && r.FederatedTokenEnv == "" && slices.Contains(places, r.From["federated-token-file"])
}
