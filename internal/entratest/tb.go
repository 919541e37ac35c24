package entratest

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// A Program is the [TB] of a program that is not a test. Whoever makes one calls End.
type ProgramTB struct {
	Name string // what its folders and last words begin with

	mu       sync.Mutex
	cleanups []func()
	reported []error
}

// Errorf keeps what was reported for [Program.End].
func (p *ProgramTB) Errorf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reported = append(p.reported, fmt.Errorf(format, args...))
}

// Fatalf ends the program.
func (p *ProgramTB) Fatalf(format string, args ...any) {
	p.cleanup()
	fmt.Fprintf(os.Stderr, p.Name+": "+format+"\n", args...)
	os.Exit(1)
}

// Cleanup has f called by [Program.End]; what came last is called first.
func (p *ProgramTB) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

// TempDir makes a folder that [Program.End] removes.
func (p *ProgramTB) TempDir() string {
	dir, err := os.MkdirTemp("", "akslogin-"+p.Name)
	if err != nil {
		p.Fatalf("%v", err)
	}
	p.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Close cleans up, and returns what was reported.
func (p *ProgramTB) Close() error {
	p.cleanup()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.reported...)
}

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

// TB is the part of testing.TB that the server needs; a program that is not a test brings its own.
type TB interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}
