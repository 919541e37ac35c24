//go:build unix && !linux

package process

import (
	"syscall"
)

// DisableCoreDumps keeps the system from writing this process's memory, with the secrets in it, to
// a core file when it dies, also with GOTRACEBACK=crash.
func DisableCoreDumps() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
	}
}
