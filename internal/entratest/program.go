package entratest

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// A Program is the [TB] of a program that is not a test. Whoever makes one calls End.
type Program struct {
	Name string // what its folders and last words begin with

	mu         sync.Mutex
	cleanups   []func()
	unexpected []error
}

// Errorf keeps what was reported for [Program.End].
func (p *Program) Errorf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unexpected = append(p.unexpected, fmt.Errorf(format, args...))
}

// Fatalf ends the program.
func (p *Program) Fatalf(format string, args ...any) {
	p.clean()
	fmt.Fprintf(os.Stderr, p.Name+": "+format+"\n", args...)
	os.Exit(1)
}

// Cleanup has f called by [Program.End]; what came last is called first.
func (p *Program) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

// TempDir makes a folder that [Program.End] removes.
func (p *Program) TempDir() string {
	dir, err := os.MkdirTemp("", "akslogin-"+p.Name)
	if err != nil {
		p.Fatalf("%v", err)
	}
	p.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// End cleans up, and returns what was reported.
func (p *Program) End() error {
	p.clean()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.unexpected...)
}

func (p *Program) clean() {
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
