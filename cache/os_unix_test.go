//go:build unix

package cache

import (
	"os"
	"syscall"
)

// stopProcess suspends a process.
func stopProcess(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
