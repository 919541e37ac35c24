package process

import (
	"syscall"
)

// DisableCoreDumps keeps the kernel from writing this process's memory, with the secrets in it, to
// a file when it dies, whatever GOTRACEBACK and the limits say and wherever the machine sends its
// core files. Other processes of the same user cannot read its memory then either. Programs that it
// starts are not affected.
func DisableCoreDumps() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0)
}
