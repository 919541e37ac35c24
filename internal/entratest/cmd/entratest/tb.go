package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/akslogin/akslogin/internal/entratest"
)

// controlTB is the [entratest.TB] of the program. It prints each unexpected request at once.
type controlTB struct {
	*entratest.ProgramTB
	serving atomic.Bool // the control listener is serving

	mu         sync.Mutex
	unexpected []string
}

// badRequest is the panic value of a request that the control listener refuses with status 400.
type badRequest string

func (tb *controlTB) Errorf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	fmt.Fprintln(os.Stderr, line)
	tb.mu.Lock()
	tb.unexpected = append(tb.unexpected, line)
	tb.mu.Unlock()
	tb.ProgramTB.Errorf("%s", line)
}

// Fatalf ends the program while it starts. Later it panics with a badRequest: the methods of
// [entratest.Server] call Fatalf for arguments that are not valid, before they take a lock.
func (tb *controlTB) Fatalf(format string, args ...any) {
	if tb.serving.Load() {
		panic(badRequest(fmt.Sprintf(format, args...)))
	}
	tb.ProgramTB.Fatalf(format, args...)
}

func (tb *controlTB) unexpectedRequests() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Clone(tb.unexpected)
}
