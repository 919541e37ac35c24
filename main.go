// Akslogin is an exec credential plugin for AKS clusters: it logs in at Microsoft Entra ID, with the federated token of a pod or a CI job or
// by any other method, keeps the cluster's token sealed on disk, and prints it as an ExecCredential.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/adrg/xdg"
	"golang.org/x/term"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/kube"
	"github.com/akslogin/akslogin/memo"
	"github.com/akslogin/akslogin/token"
)

func main() { os.Exit(run(os.Args[1:], world{})) }

// world is what tests set otherwise. The zero value is the real one.
type world struct {
	now      func() time.Time
	pace     time.Duration // see token.World
	patience time.Duration // see cache.Dir
	queue    time.Duration // see token.World

	lockPatience time.Duration // 0: lockPatience

	logFile   *logFile // of this run; nil: there is none
	verbosity int
}

// run is the whole program but for its exit.
func run(args []string, w world) (exit int) {
	defer memo.Yield()
	process.KeepOffDisk()
	stdlog.SetOutput(io.Discard) // net/http would quote an answer that comes twice, token and all
	w.logFile = openLogFile(logFilePath(args))
	if err := roomForFiles(); err != nil {
		return w.complain(token.Explain(err))
	}
	line, verbosity, err := parseCommand(args)
	if err == nil {
		w.verbosity = verbosity
		err = line.Run(w, logger(verbosity, w.logFile))
	}
	if err != nil {
		return w.complain(token.Explain(err))
	}
	w.logFile.succeeded()
	return 0
}

// descriptors are what a login needs at once: Go's runtime two, then lock, temporary file, connections, a resolver's.
const descriptors = 8

// roomForFiles says when fewer can be opened. Go's runtime would die of it with a page of stacks, or the cache's lock take the last one.
func roomForFiles() error {
	room := process.Room(descriptors)
	if room == descriptors {
		return nil
	}
	return &token.FailedError{
		Text: fmt.Sprintf("this process may open %d more files, and a login needs %d", room, descriptors),
		Hint: "raise the limit of open files (ulimit -n), or close what the program that starts this one leaves open",
	}
}

// GetToken are the flags of get-token.
type GetToken struct {
	token.Request
	cacheFlags
	logFlags
}

// getTokenCommand is the command that kubeconfigs name.
type getTokenCommand struct{ GetToken }

// Run is the way of a token: what Kubernetes wants, what the request is, cache or exchange, answer.
func (g *getTokenCommand) Run(line *commandLine, w world, log *slog.Logger) error {
	asked, err := kube.ReadExecInfo(os.Getenv(kube.ExecInfoVariable))
	if err != nil {
		return &token.UsageError{Text: err.Error()}
	}
	request, err := g.Resolve(line.typed, os.Getenv)
	if err != nil {
		return err
	}
	if len(line.ignored) > 0 {
		log.Debug("words after get-token are ignored", "number", len(line.ignored))
	}
	dir := w.dir(g.cacheFlags)
	ctx, surroundings, end := begin(request, dir, w, log)
	defer end()
	surroundings.Prompt = prompt(asked.Interactive)
	var presented []byte
	surroundings.Store = func(secret []byte, inputs []string) token.Store {
		presented = secret
		return store(dir, secret, inputs)
	}
	answer, err := token.Get(ctx, request, surroundings)
	if err != nil {
		return err
	}
	var printed bytes.Buffer
	if err := kube.WriteExecCredential(&printed, asked.APIVersion, answer.Value, answer.Until(dir.Now())); err != nil {
		return err
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a client that has gone is an error with a name, not a silent end
	if _, err := os.Stdout.Write(printed.Bytes()); err != nil {
		return err
	}
	end()                                        // what was printed stands, however long a disk takes for the memo
	if w.verbosity == 0 && !request.PoPEnabled { // whose every run has something to say, or to sign
		from, until := answer.Steady()
		memo.Keep(printed.Bytes(), dir.Now(), from, until, presented, dir.Path, dir.PutMemo)
	}
	return nil
}

// logFilePath finds get-token's log file. The command line is not parsed for that, since what cannot be parsed has to be written down too.
func logFilePath(args []string) string {
	if !slices.Contains(args, "get-token") {
		return ""
	}
	return logFlags{memo.Flag(args, "--log-file")}.path()
}

// dir is the cache's folder, with this run's clock.
func (w world) dir(flags cacheFlags) cache.Dir {
	d := flags.dir()
	d.Patience = w.patience
	if w.now != nil {
		d.Now = w.now
	}
	return d
}

// begin bounds a run by the request's timeout, and gives it what a login needs of its surroundings. end is to be called when it is over.
func begin(request token.Request, dir cache.Dir, w world, log *slog.Logger) (ctx context.Context, surroundings token.World, end func()) {
	timeout := min(request.Timeout, 24*time.Hour)
	ctx, done := context.WithTimeout(context.Background(), timeout)
	timer := w.lastResort(timeout)
	log = request.Discreet(log, os.Getenv)
	listenToSDK(log)
	return ctx, token.World{
		Now: w.now, Log: log, Pace: w.pace, Queue: w.queue, Waited: memo.Waited, Yield: memo.Yield,
		Store: func(secret []byte, inputs []string) token.Store { return store(dir, secret, inputs) },
		Key:   func() ([]byte, error) { return dir.Key(filepath.Join(xdg.DataHome, "akslogin", "key")) },
	}, func() { done(); timer.Stop() }
}

// prompt is where a person can be asked to sign in: where the client says that somebody is there, else where somebody sees what is
// written on standard error. nil: nobody is there.
func prompt(interactive *bool) io.Writer {
	if interactive == nil && term.IsTerminal(int(os.Stderr.Fd())) || interactive != nil && *interactive {
		return os.Stderr
	}
	return nil
}

func store(dir cache.Dir, secret []byte, inputs []string) token.Store {
	entry, err := dir.Entry(secret, inputs...)
	if err != nil { // a secret of a kind that cannot seal: nothing is kept
		return nil
	}
	return entry
}

// lastResort ends the program when what it waits for cannot be told to stop, as a disk that does not answer.
func (w world) lastResort(timeout time.Duration) *time.Timer {
	return time.AfterFunc(max(timeout, 0)+timeout.Abs()/10+time.Second, func() {
		os.Exit(w.complain(token.Explain(fmt.Errorf("still running after %s: a disk or a file does not answer", timeout))))
	})
}
