//go:build unix

package process

import "syscall"

// FreeDescriptors returns how many more files this process can open, limit at most. It opens that
// many for a moment, so it must not be called while a program is started, which would inherit them.
func FreeDescriptors(limit int) int {
	if limit == 0 {
		return 0
	}
	switch fd, err := syscall.Dup(2); err {
	case nil:
		defer syscall.Close(fd)
	case syscall.EMFILE:
		return 0
	}
	return 1 + FreeDescriptors(limit-1)
}

// limitCoreFile limits the size of a core file to maxCoreFile.
func limitCoreFile() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) == nil {
		limit.Cur = min(limit.Cur, limit.Max, maxCoreFile)
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
	}
}
