// Package warmstart prints the answer of an earlier get-token run before the rest of the program
// is initialized.
//
// Most of the time of a run that finds its token in the cache goes into initializing packages that
// it does not use. Go initializes packages whose imports are ready in the order of their import
// paths (https://go.dev/ref/spec#Package_initialization). This package imports little, so its turn
// comes before the network, the Azure SDK and the command line. Importing it has an effect: if
// os.Args is a get-token command with a stored answer, its initialization prints the answer and
// exits. Only main and internal/cli import it. AKSLOGIN_WARM_START=off switches it off.
//
// What it may print: the bytes that an earlier run printed, and only during the time for which
// that run knew that its cached token would be printed unchanged. Otherwise, and after any error,
// it returns and the normal path decides. It never exits with a failure, with two exceptions:
// standard output fails after it took a part of the answer, or takes nothing for a minute.
//
// What identifies an answer: the build (its ID, and the size and modification time of the program's
// file), all arguments, every environment variable that internal/envvar lists, the content of the
// token proxy's CA file, and the federated token. The answer is encrypted with a key derived from
// all of them. Only runs that exchange a federated token from a file are stored. Runs with -v or
// --pop-enabled are not.
// The token file and the cache directory are found by a simple reading of the arguments. Save
// compares them with those that the login used, and stores nothing if they differ. What a client
// says about the cluster is a part of the identity, in KUBERNETES_EXEC_INFO, and is not read: a run
// whose token file the cluster's config names is not stored. Neither is one whose federated token
// is in a variable, or in a file that only --use-azurerm-env-vars names.
//
// Concurrent runs: the first run that finds no answer takes a lock, and the others wait for its
// answer, for two seconds at most. The lock saves work; correctness does not depend on it.
//
// What it imports: cache/sealed, internal/envvar, internal/process, and packages of the standard
// library that cache/sealed needs anyway. Tests in internal/cli hold the list of its imports
// (testdata/startup/imports.txt) and of the packages initialized before it (warm.txt).
package warmstart

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/process"
)

const (
	// minDescriptors is how many files this process must be able to open. Go's netpoller keeps two
	// descriptors open and crashes without them, the lock takes one, and a login that follows needs
	// eight more.
	minDescriptors = 11

	// stdoutTimeout is the longest wait for the reader of standard output.
	stdoutTimeout = time.Minute
)

var started = time.Now() // before current, in whose initialization a process may wait

// Started returns when this package's initialization began, some microseconds after the process.
func Started() time.Time { return started }

// current is this process's run. Its initialization is the warm start.
var current = start()

// Current returns this process's run. It is nil if the process is no get-token run, if its inputs
// could not be read, or if the warm start is switched off.
func Current() *Run { return current }

// start exits with the stored answer if there is one, or if the run that is about to store it does
// so in time. Otherwise it returns the run for the normal path.
func start() *Run {
	if len(os.Args) < 2 || os.Args[1] != "get-token" ||
		envvar.Get("AKSLOGIN_WARM_START") == "off" {
		return nil
	}
	process.DisableCoreDumps()
	if process.FreeDescriptors(minDescriptors) < minDescriptors {
		return nil
	}
	type result struct {
		run    *Run
		absent bool
	}
	loaded, _ := withTimeout(diskTimeout, func(timer *time.Timer) (r result) {
		r.run = newRun(os.Args[2:], os.Environ())
		answer, absent := r.run.load(time.Now())
		if answer == nil && r.run.useFallback() {
			answer, absent = r.run.load(time.Now())
		}
		// Returning the answer to the caller would start a thread.
		if answer != nil && timer.Stop() {
			writeAndExit(answer)
		}
		r.absent = absent
		return r
	})
	if loaded.absent && worthWaiting(os.Args[2:],
		envvar.Get("AAD_LOGIN_METHOD"), envvar.Get("AAD_IS_POP_TOKEN_ENABLED")) {
		if answer := loaded.run.waitForWriter(maxWait); answer != nil {
			writeAndExit(answer)
		}
	}
	return loaded.run
}

// writeAndExit writes the answer to standard output and exits. It returns only if nothing was
// written, so that the normal path reports the error.
func writeAndExit(answer []byte) {
	fail := func(what string) {
		os.Stderr.WriteString("akslogin: error: " + what + "\n")
		os.Exit(1)
	}
	time.AfterFunc(stdoutTimeout, func() {
		fail("writing the credential to standard output timed out: nobody reads it")
	})
	n, err := 0, error(nil)
	// os.Stdout would raise SIGPIPE if the client has closed the pipe, and the process would die
	// without a message.
	if runtime.GOOS != "windows" {
		n, err = syscall.Write(syscall.Stdout, answer)
		n = max(n, 0)
	}
	if n < len(answer) && !errors.Is(err, syscall.EPIPE) { // a short write, or EAGAIN or EINTR
		var more int
		more, err = os.Stdout.Write(answer[n:])
		n += more
	}
	switch {
	case err == nil:
		os.Exit(0)
	case n > 0:
		fail("standard output took only a part of the credential: " + err.Error())
	}
}
