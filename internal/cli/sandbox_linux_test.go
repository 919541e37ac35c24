package cli

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runWithoutKeyring runs a program without access to the kernel's keyring, as in most containers:
// no-keyring PROGRAM [ARGUMENT...]. With access, kubelogin would find the tokens of other runs
// there, and leave keys behind.
func runWithoutKeyring() { runWithoutCalls(unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL) }

// runWithoutPrctl runs a program to which a sandbox refuses prctl: no-prctl PROGRAM [ARGUMENT...].
func runWithoutPrctl() { runWithoutCalls(unix.SYS_PRCTL) }

// runWithoutCalls runs the program in its arguments, and has system calls refused to it.
func runWithoutCalls(calls ...uint32) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, os.Args[0]+":", err)
		os.Exit(70)
	}
	runtime.LockOSThread() // the filter applies to this thread, which then executes the program
	// The first instruction loads the system call's number.
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	for i, call := range calls {
		refuse := uint8(len(calls) - i)
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jt: refuse})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{
			Code: unix.BPF_RET | unix.BPF_K,
			K:    unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM),
		},
	)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		fail(err)
	}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER,
		uintptr(unsafe.Pointer(&program)), 0, 0)
	if err != nil {
		fail(err)
	}
	path, err := exec.LookPath(os.Args[1])
	if err != nil {
		fail(err)
	}
	fail(syscall.Exec(path, os.Args[1:], os.Environ()))
}
