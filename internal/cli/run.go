// Package cli is the command line: it reads flags, calls a domain package to do the work, and
// reports the result. Only this package decides what goes to standard output and standard error,
// and the exit status. Each command is a file.
package cli

import (
	"fmt"
	"io"
	stdlog "log"
	"os"
	"time"

	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/internal/runlog"
	"github.com/akslogin/akslogin/internal/warmstart"
	"github.com/akslogin/akslogin/token"
)

// Main runs the program with its arguments, without the program's name. It returns the exit
// status: 0 success, 1 the command failed, 2 wrong usage, 3 a person has to sign in and nobody can
// be asked. warm is this process's warm start, nil if it has none.
//
// Standard output gets the command's result and nothing else; errors and hints go to standard
// error. Main returns within the command's --timeout and a little more, whatever hangs. The time
// counts from the start of the process.
func Main(args []string, warm *warmstart.Run) (exit int) {
	return run(args, options{warm: warm, started: warmstart.Started()})
}

func run(args []string, o options) (exit int) {
	if o.started.IsZero() {
		o.started = time.Now()
	}
	defer o.warm.ReleaseWaiters()
	process.DisableCoreDumps()
	stdlog.SetOutput(io.Discard) // net/http logs unexpected response bytes, which may hold a token
	if len(args) > 0 && args[0] == completeCommand && !runByClient() {
		printCompletions(os.Stdout, args[1:])
		return 0
	}
	explain := token.Explain
	if len(args) == 0 && runByClient() {
		args = []string{"get-token"}
		explain = func(err error) token.Explanation { return explainNoArgs(token.Explain(err)) }
	}
	o.logFile = runlog.Open(logFilePath(args))
	if err := checkOpenFileLimit(); err != nil {
		return o.reportError(token.Explain(err))
	}
	line, verbosity, err := parseCommand(args)
	if err == nil {
		o.verbosity = verbosity
		err = line.Run(o, runlog.NewLogger(verbosity, o.logFile))
	}
	if err != nil {
		return o.reportError(explain(err))
	}
	o.logFile.WriteSuccess()
	return 0
}

// minOpenFiles is how many descriptors a login needs at once: two for Go's network poller, and
// some for the lock, a temporary file, the connection and name resolution.
const minOpenFiles = 8

// checkOpenFileLimit returns an error if fewer than minOpenFiles can be opened. Without it Go's
// runtime crashes with a stack trace, or the cache's lock takes the last descriptor.
func checkOpenFileLimit() error {
	free := process.FreeDescriptors(minOpenFiles)
	if free == minOpenFiles {
		return nil
	}
	return &token.FailedError{
		Text: fmt.Sprintf("this process may open %d more files, and a login needs %d", free, minOpenFiles),
		Hint: "raise the limit of open files (ulimit -n), or make the program that starts this " +
			"one close its open files",
	}
}
