// Package cli is the command line: flags in, a domain package does the work, words out. It is the
// only place that decides what goes to standard output and standard error, and the exit status.
package cli

import (
	"fmt"
	"io"
	stdlog "log"

	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/internal/runlog"
	"github.com/akslogin/akslogin/internal/warmstart"
	"github.com/akslogin/akslogin/token"
)

// Main runs the program with the arguments behind its name and returns its exit status: 0, or 1
// the command failed, 2 wrong usage, 3 a person has to sign in and nobody can be asked. warm is the
// run that package warmstart has prepared; nil: none.
func Main(args []string, warm *warmstart.Run) (exit int) { return run(args, options{warm: warm}) }

func run(args []string, w options) (exit int) {
	defer w.warm.ReleaseWaiters()
	process.DisableCoreDumps()
	stdlog.SetOutput(io.Discard) // net/http would quote an answer that comes twice, token and all
	w.logFile = runlog.Open(logFilePath(args))
	if err := checkOpenFileLimit(); err != nil {
		return w.reportError(token.Explain(err))
	}
	line, verbosity, err := parseCommand(args)
	if err == nil {
		w.verbosity = verbosity
		err = line.Run(w, runlog.NewLogger(verbosity, w.logFile))
	}
	if err != nil {
		return w.reportError(token.Explain(err))
	}
	w.logFile.WriteSuccess()
	return 0
}

// minOpenFiles are what a login needs at once: Go's runtime two, then lock, temporary file,
// connections, a resolver's.
const minOpenFiles = 8

// checkOpenFileLimit says when fewer can be opened. Go's runtime would die of it with a page of
// stacks, or the cache's lock take the last one.
func checkOpenFileLimit() error {
	room := process.FreeDescriptors(minOpenFiles)
	if room == minOpenFiles {
		return nil
	}
	return &token.FailedError{
		Text: fmt.Sprintf(
			"this process may open %d more files, and a login needs %d",
			room,
			minOpenFiles,
		),
		Hint: "raise the limit of open files (ulimit -n), or close what the program that starts this one leaves open",
	}
}
