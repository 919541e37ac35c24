package entratest

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// TB is the part of [testing.TB] that a [Server] needs. A program that is not a test uses a
// [ProgramTB].
//
// The Server reports unexpected requests with Errorf. A test that expects one passes a TB that
// embeds its testing.T and has an Errorf of its own.
type TB interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// A ProgramTB is the [TB] of a program that is not a test. The program must call Close at its end.
type ProgramTB struct {
	Name string // prefix of temporary directories and of Fatalf's message

	mu       sync.Mutex
	cleanups []func()
	errs     []error
}

// Errorf records an error for [ProgramTB.Close].
func (p *ProgramTB) Errorf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

// Fatalf runs the cleanup functions, prints the message on standard error and exits with status 1.
func (p *ProgramTB) Fatalf(format string, args ...any) {
	p.cleanup()
	fmt.Fprintf(os.Stderr, p.Name+": "+format+"\n", args...)
	os.Exit(1)
}

// Cleanup has [ProgramTB.Close] call f. Functions are called in last-added, first-called order.
func (p *ProgramTB) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

// TempDir makes a directory that [ProgramTB.Close] removes.
func (p *ProgramTB) TempDir() string {
	dir, err := os.MkdirTemp("", "akslogin-"+p.Name)
	if err != nil {
		p.Fatalf("%v", err)
	}
	p.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Close runs the cleanup functions and returns the errors that Errorf recorded, joined.
func (p *ProgramTB) Close() error {
	p.cleanup()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.errs...)
}

// cleanup runs the cleanup functions, those included that they add. It calls them without the lock.
func (p *ProgramTB) cleanup() {
	for {
		p.mu.Lock()
		n := len(p.cleanups)
		if n == 0 {
			p.mu.Unlock()
			return
		}
		last := p.cleanups[n-1]
		p.cleanups = p.cleanups[:n-1]
		p.mu.Unlock()
		last()
	}
}
