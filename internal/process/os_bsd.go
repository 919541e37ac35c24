//go:build unix && !linux

package process

import "syscall"

// DisableCoreDumps keeps the system from writing this process's memory, which holds secrets, to a
// core file, also with GOTRACEBACK=crash. Programs that it starts inherit the limit.
func DisableCoreDumps() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
	}
}
