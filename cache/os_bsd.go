//go:build unix && !linux

package cache

import "golang.org/x/sys/unix"

// KeepOffDisk keeps the system from writing this process's memory, with the secrets in it, to a core file when it dies, also with GOTRACEBACK=crash.
func KeepOffDisk() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
}
