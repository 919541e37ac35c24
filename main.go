// Akslogin is an exec credential plugin for AKS clusters: it exchanges the federated token of a pod or a CI job at Microsoft Entra ID for
// the token that the cluster wants, keeps that sealed on disk, and prints it as an ExecCredential.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/kube"
	"github.com/akslogin/akslogin/token"
)

func main() { os.Exit(run(os.Args[1:], world{})) }

// world is what tests set otherwise. The zero value is the real one.
type world struct {
	now      func() time.Time
	pace     time.Duration // see token.World
	patience time.Duration // see cache.Dir
}

// run is the whole program but for its exit.
func run(args []string, w world) (exit int) {
	line, err := parse(args)
	if err == nil {
		err = line.Run(w, logger(line.verbosity))
	}
	if err != nil {
		return complain(token.Explain(err))
	}
	return 0
}

// GetToken is the command that kubeconfigs name.
type GetToken struct {
	token.Request
	cacheFlags
}

// Run is the way of a token: what Kubernetes wants, what the request is, cache or exchange, answer.
func (g *GetToken) Run(line *commandLine, w world, log *slog.Logger) error {
	asked, err := kube.ReadExecInfo(os.Getenv(kube.ExecInfoVariable))
	if err != nil {
		return &token.UsageError{Text: err.Error()}
	}
	request, err := g.Resolve(line.typed, os.Getenv)
	if err != nil {
		return err
	}
	logOrigins(log, request)
	if len(line.ignored) > 0 {
		log.Debug("words after get-token are ignored", "number", len(line.ignored))
	}
	ctx, done := context.WithTimeout(context.Background(), request.Timeout)
	defer done()
	dir := g.dir(w)
	answer, err := token.Get(ctx, request, token.World{
		Now: w.now, Log: log, Pace: w.pace,
		Store: func(secret []byte, inputs []string) token.Store { return store(dir, secret, inputs) },
	})
	if err != nil {
		return err
	}
	return kube.WriteExecCredential(os.Stdout, asked.APIVersion, answer.Value, answer.Until(dir.Now()))
}

func store(dir cache.Dir, secret []byte, inputs []string) token.Store {
	entry, err := dir.Entry(secret, inputs...)
	if err != nil { // a secret of a kind that cannot seal: nothing is kept
		return nil
	}
	return entry
}

// logOrigins says which values the request has and where they came from.
func logOrigins(log *slog.Logger, r token.Request) {
	for _, v := range []struct{ flag, value string }{
		{"login", r.Login}, {"tenant-id", r.TenantID}, {"client-id", r.ClientID}, {"server-id", r.ServerID},
		{"environment", r.Environment}, {"authority-host", r.AuthorityHost}, {"federated-token-file", r.FederatedTokenFile},
	} {
		if from := r.From[v.flag]; from != "" {
			log.Debug(v.flag, "value", v.value, "from", from)
		}
	}
}

// complain speaks to people: lower case, one line for what happened and one for what to do, since hosts show no more than that.
// Standard output is the client's and stays empty.
func complain(e token.Explanation) (exit int) {
	text := "akslogin: error: " + e.Text + "\n"
	if e.Hint != "" {
		text += "akslogin: hint: " + e.Hint + "\n"
	}
	fmt.Fprint(os.Stderr, text)
	return e.Exit
}

// logger speaks to standard error when asked to with -v.
func logger(v int) *slog.Logger {
	if v == 0 {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
