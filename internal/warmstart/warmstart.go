// Package memo answers a run of get-token that is like an earlier one, before the rest of the
// program is initialised.
//
// Most of what a warm run costs is the initialisation of packages that it has no use for. Go
// initialises a package as soon as those that it imports are ready, and of several that are the
// first by import path (https://go.dev/ref/spec#Package_initialization). This one imports little,
// so its turn comes before the SDK's, Kubernetes' and the network's; where it has the answer, it
// prints it and ends the program.
//
// A memo is what an earlier run printed, sealed with the federated token that was exchanged and
// with all else that could have made that run end otherwise: the program itself, the command line,
// every variable that it reads, and a token proxy's CA. It counts for as long as that run said that
// its token would be handed out as it is; then, and wherever anything differs, the program goes its
// usual way. So a run with a federated token from a file must not come to depend on anything else.
// Which file and which folder are meant is guessed here from the command line as most write it:
// that a guess was wrong is found out when the memo is to be kept, by comparing both with what the
// login used.
package warmstart

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/akslogin/akslogin/internal/process"
)

const (
	minDescriptors = 11          // descriptors: Go's poller takes two for good, and dies where it cannot, the lock one; a login that follows wants eight more
	stdoutTimeout  = time.Minute // the longest that standard output may take to be read
)

// current is this process's; nil where it is not one that can have a memo.
var current = start()

// Current returns this process's run; nil if the warm start has no part in it.
func Current() *Run { return current }

// start ends the program with the memo's answer if there is one, now or when who is at it has made
// it.
func start() *Run {
	if len(os.Args) < 2 || os.Args[1] != "get-token" {
		return nil
	}
	process.DisableCoreDumps()
	if process.FreeDescriptors(minDescriptors) < minDescriptors {
		return nil
	}
	type found struct {
		memo   *Run
		answer []byte
		absent bool
	}
	looked, _ := withTimeout(diskTimeout, func() (f found) {
		f.memo = newRun(os.Args[2:], os.Environ())
		f.answer, f.absent = f.memo.load(time.Now())
		return f
	})
	m, answer := looked.memo, looked.answer
	if looked.absent && worthWaiting(os.Args[2:], os.Getenv("AAD_LOGIN_METHOD")) {
		answer = m.waitForWriter(maxWait)
	}
	if answer != nil {
		writeAndExit(answer)
	}
	return m
}

// writeAndExit prints an answer and ends the program. It returns where nothing was printed: the
// usual way will say what is wrong with standard output.
func writeAndExit(answer []byte) {
	fail := func(what string) {
		os.Stderr.WriteString("akslogin: error: " + what + "\n")
		os.Exit(1)
	}
	time.AfterFunc(stdoutTimeout, func() { fail("nobody reads the answer from standard output") })
	n, err := 0, error(nil)
	if runtime.GOOS != "windows" { // os.Stdout would end the program without a word if the client has gone
		n, err = syscall.Write(syscall.Stdout, answer)
		n = max(n, 0)
	}
	if n < len(answer) &&
		!errors.Is(err, syscall.EPIPE) { // it takes less at once, or nothing just now
		var more int
		more, err = os.Stdout.Write(answer[n:])
		n += more
	}
	switch {
	case err == nil:
		os.Exit(0)
	case n > 0:
		fail("standard output took a part of the answer only: " + err.Error())
	}
}
