package process

import "syscall"

// DisableCoreDumps keeps the kernel from writing this process's memory, which holds secrets, to a
// core file or to a core dump handler, whatever GOTRACEBACK and the limits are. Other processes of
// the same user cannot read its memory either. Programs that it starts are not affected.
func DisableCoreDumps() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0)
}
