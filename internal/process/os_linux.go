package process

import "syscall"

// maxCoreFile is the largest core file in bytes where prctl is refused. Nothing fits into one byte,
// and the kernel starts no core dump handler with this very limit (fs/coredump.c).
const maxCoreFile = 1

// DisableCoreDumps keeps the kernel from writing this process's memory, which holds secrets, to a
// core file or to a core dump handler, whatever GOTRACEBACK and the limits are. Other processes of
// the same user cannot read its memory either. Programs that it starts are not affected.
// If prctl fails, as in some sandboxes, a limit does the same. Programs that it starts inherit it.
func DisableCoreDumps() {
	_, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0)
	if err != 0 {
		limitCoreFile()
	}
}
