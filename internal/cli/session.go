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
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/internal/runlog"
	"github.com/akslogin/akslogin/internal/warmstart"
	"github.com/akslogin/akslogin/token"
)

// options are the settings of a run that are no flags. Tests set them; their zero value is what
// users get.
type options struct {
	now                   func() time.Time // nil: time.Now
	retryDelay            time.Duration    // token.Options.RetryDelay
	maxLockWait           time.Duration    // token.Options.MaxLockWait
	holderTimeout         time.Duration    // cache.Dir.HolderTimeout
	kubeconfigLockTimeout time.Duration    // 0: kubeconfigLockTimeout

	started   time.Time      // when the process started, from which timeouts count; zero: now
	warm      *warmstart.Run // nil: none
	logFile   *runlog.File   // nil: none
	verbosity int
}

// startLogin limits a run to the request's timeout, counted from its start, and returns what a
// login needs besides the request. The caller calls end when the login is over.
func startLogin(request token.Request, dir cache.Dir, o options, log *slog.Logger) (ctx context.Context, login token.Options, end func()) {
	timeout := min(request.Timeout, 24*time.Hour)
	ctx, cancel := context.WithDeadline(context.Background(), o.started.Add(timeout))
	watchdog := o.startWatchdog(timeout)
	log = request.RedactingLogger(log, envvar.Get)
	runlog.LogSDKRetries(log)
	return ctx, token.Options{
		Getenv:             envvar.Get,
		Now:                o.now,
		Log:                log,
		RetryDelay:         o.retryDelay,
		MaxLockWait:        o.maxLockWait,
		AlreadyWaited:      o.warm.TimeWaited,
		BeforeEarlyRefresh: o.warm.ReleaseWaiters,
		ToolStarted:        killOnSignal,
		Program:            process.Name(),
		SignInArgs:         signInArgs(dir),
		Store:              func(secret []byte, inputs []string) token.Store { return cacheStore(dir, secret, inputs) },
		UserKey:            func() ([]byte, error) { return dir.Key(filepath.Join(xdg.DataHome, "akslogin", "key")) },
	}, func() { cancel(); watchdog.Stop() }
}

// signInArgs returns the arguments for a sign-in that is to be kept in the directory, none if that
// is the default. The fallback is named, since a person's terminal may not need one.
func signInArgs(dir cache.Dir) []string {
	if dir.Path == cache.ExpandPath(cache.ResolveDir("")) {
		return nil
	}
	return []string{"--cache-dir", dir.Path}
}

// cacheStore returns the cache entry of a login, nil if secret cannot derive a key: then nothing is
// cached.
func cacheStore(dir cache.Dir, secret []byte, inputs []string) token.Store {
	entry, err := dir.Entry(secret, inputs...)
	if err != nil {
		return nil
	}
	return entry
}

// cacheDir returns the cache directory that the flags and variables name.
func (o options) cacheDir(c flags.Cache) cache.Dir {
	d := c.Dir()
	d.HolderTimeout = o.holderTimeout
	if o.now != nil {
		d.Now = o.now
	}
	return d
}

// startWatchdog ends the program some time after timeout, counted from its start. It is for waits
// that no context ends, such as a disk that does not answer.
func (o options) startWatchdog(timeout time.Duration) *time.Timer {
	grace := timeout.Abs()/10 + time.Second
	return time.AfterFunc(max(timeout, 0)+grace-time.Since(o.started), func() {
		err := fmt.Errorf("still running after %s: a disk or a file does not answer", timeout)
		os.Exit(o.reportError(token.Explain(err)))
	})
}

// logFilePath returns the path of get-token's log file, "" for none. It does not parse the command
// line, because errors of the parser belong into the log file too.
func logFilePath(args []string) string {
	if !slices.Contains(args, "get-token") {
		return ""
	}
	return flags.Log{LogFile: warmstart.FlagValue(args, "--log-file")}.Path()
}

// reportError prints an error to standard error and to the log file and returns the exit status.
// It prints one line for what failed and one for what to do, in lower case without a full stop:
// many clients show no more than that. Standard output stays empty.
func (o options) reportError(e token.Explanation) (exit int) {
	text := "akslogin: error: " + e.Text + "\n"
	if e.Hint != "" {
		text += "akslogin: hint: " + e.Hint + "\n"
	}
	fmt.Fprint(os.Stderr, text)
	o.logFile.WriteFailure(e)
	return e.Exit
}

// printWarning says what works here but may fail where the kubeconfig is used.
func printWarning(text string) { fmt.Fprintf(os.Stderr, "akslogin: warning: %s\n", token.Clean(text)) }
