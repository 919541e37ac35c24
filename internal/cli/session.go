package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/adrg/xdg"
	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/runlog"
	"github.com/akslogin/akslogin/internal/warmstart"
	"github.com/akslogin/akslogin/token"
)

// startLogin bounds a run by the request's timeout, and gives it what a login needs of its
// surroundings. end is to be called when it is over.
func startLogin(
	request token.Request,
	dir cache.Dir,
	w options,
	log *slog.Logger,
) (ctx context.Context, surroundings token.Options, end func()) {
	timeout := min(request.Timeout, 24*time.Hour)
	ctx, done := context.WithTimeout(context.Background(), timeout)
	timer := w.startWatchdog(timeout)
	log = request.RedactingLogger(log, envvar.Get)
	runlog.LogSDKRetries(log)
	return ctx, token.Options{
		Getenv:             envvar.Get,
		Now:                w.now,
		Log:                log,
		RetryDelay:         w.retryDelay,
		MaxLockWait:        w.maxLockWait,
		AlreadyWaited:      w.warm.TimeWaited,
		BeforeEarlyRefresh: w.warm.ReleaseWaiters,
		Store:              func(secret []byte, inputs []string) token.Store { return cacheStore(dir, secret, inputs) },
		UserKey:            func() ([]byte, error) { return dir.Key(filepath.Join(xdg.DataHome, "akslogin", "key")) },
	}, func() { done(); timer.Stop() }
}

func cacheStore(dir cache.Dir, secret []byte, inputs []string) token.Store {
	entry, err := dir.Entry(secret, inputs...)
	if err != nil { // a secret of a kind that cannot seal: nothing is kept
		return nil
	}
	return entry
}

// options is what tests set otherwise. The zero value is the real one.
type options struct {
	now           func() time.Time
	retryDelay    time.Duration // see token.World
	holderTimeout time.Duration // see cache.Dir
	maxLockWait   time.Duration // see token.World

	kubeconfigLockTimeout time.Duration // 0: kubeconfigLockTimeout

	warm      *warmstart.Run // nil: none
	logFile   *runlog.File   // of this run; nil: there is none
	verbosity int
}

// cacheDir is the cache's folder, with this run's clock.
func (w options) cacheDir(c flags.Cache) cache.Dir {
	d := c.Dir()
	d.HolderTimeout = w.holderTimeout
	if w.now != nil {
		d.Now = w.now
	}
	return d
}

// startWatchdog ends the program when what it waits for cannot be told to stop, as a disk that does
// not answer.
func (w options) startWatchdog(timeout time.Duration) *time.Timer {
	return time.AfterFunc(max(timeout, 0)+timeout.Abs()/10+time.Second, func() {
		os.Exit(
			w.reportError(
				token.Explain(
					fmt.Errorf("still running after %s: a disk or a file does not answer", timeout),
				),
			),
		)
	})
}

// logFilePath finds get-token's log file. The command line is not parsed for that, since what
// cannot be parsed has to be written down too.
func logFilePath(args []string) string {
	if !slices.Contains(args, "get-token") {
		return ""
	}
	return flags.Log{LogFile: warmstart.FlagValue(args, "--log-file")}.Path()
}

// reportError speaks to people: lower case, one line for what happened and one for what to do,
// since hosts show no more than that. Standard output is the client's and stays empty.
func (w options) reportError(e token.Explanation) (exit int) {
	text := "akslogin: error: " + e.Text + "\n"
	if e.Hint != "" {
		text += "akslogin: hint: " + e.Hint + "\n"
	}
	fmt.Fprint(os.Stderr, text)
	if w.logFile != nil {
		w.logFile.WriteFailure(e)
	}
	return e.Exit
}

// printWarning tells of what works here and may not work where the kubeconfig is used.
func printWarning(
	text string,
) {
	fmt.Fprintf(os.Stderr, "akslogin: warning: %s\n", token.Clean(text))
}
