package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A tracer runs a program under ptrace and injects faults: it stops the program at every system
// call on a folder, and lets the call pass, makes it fail, or kills the program. strace -e inject
// cannot do this: it counts calls by thread, and Go moves goroutines between threads, so it would
// not hit the same call twice.
type tracer struct {
	folder string
	decide func(call) fault // called before each system call
}

// call identifies a system call across runs: random parts of file names are replaced.
type call struct {
	name string
	path string // below the folder; two paths for a rename
	nth  int    // counts calls of this name and path, from 1
}

func (c call) String() string { return fmt.Sprintf("%s %s (%d)", c.name, c.path, c.nth) }

// fault is what happens to a call. The zero value lets it pass.
type fault struct {
	signal syscall.Signal // send it to the program before the call
	errno  syscall.Errno  // fail without making the call; a close is made nevertheless, as in Linux
}

// systemCall describes a system call's arguments by index. An argument before a path, if there is
// one, is the descriptor of the path's folder.
type systemCall struct {
	name  string
	paths []int
	fd    int // a descriptor to use without a path
}

const noDescriptor = -1

var systemCalls = map[uint64]systemCall{
	unix.SYS_READ:      {"read", nil, 0},
	unix.SYS_PREAD64:   {"pread64", nil, 0},
	unix.SYS_WRITE:     {"write", nil, 0},
	unix.SYS_PWRITE64:  {"pwrite64", nil, 0},
	unix.SYS_CLOSE:     {"close", nil, 0},
	unix.SYS_LSEEK:     {"lseek", nil, 0},
	unix.SYS_FSTAT:     {"fstat", nil, 0},
	unix.SYS_FSYNC:     {"fsync", nil, 0},
	unix.SYS_FLOCK:     {"flock", nil, 0},
	unix.SYS_FCNTL:     {"fcntl", nil, 0},
	unix.SYS_FCHMOD:    {"fchmod", nil, 0},
	unix.SYS_FTRUNCATE: {"ftruncate", nil, 0},

	unix.SYS_GETDENTS64: {"getdents64", nil, 0},
	unix.SYS_EPOLL_CTL:  {"epoll_ctl", nil, 2},
	unix.SYS_OPENAT:     {"openat", []int{1}, noDescriptor},
	unix.SYS_NEWFSTATAT: {"newfstatat", []int{1}, noDescriptor},
	unix.SYS_STATX:      {"statx", []int{1}, noDescriptor},
	unix.SYS_READLINKAT: {"readlinkat", []int{1}, noDescriptor},
	unix.SYS_FACCESSAT:  {"faccessat", []int{1}, noDescriptor},
	unix.SYS_FACCESSAT2: {"faccessat2", []int{1}, noDescriptor},
	unix.SYS_MKDIRAT:    {"mkdirat", []int{1}, noDescriptor},
	unix.SYS_UNLINKAT:   {"unlinkat", []int{1}, noDescriptor},
	unix.SYS_FCHMODAT:   {"fchmodat", []int{1}, noDescriptor},
	unix.SYS_RENAMEAT:   {"renameat", []int{1, 3}, noDescriptor},
	unix.SYS_RENAMEAT2:  {"renameat2", []int{1, 3}, noDescriptor},
	unix.SYS_LINKAT:     {"linkat", []int{1, 3}, noDescriptor},
	unix.SYS_UTIMES:     {"utimes", []int{0}, noDescriptor},
	unix.SYS_UTIMENSAT:  {"utimensat", []int{1}, 0},
}

// tracedRun is the result of a run, with its system calls on the folder.
type tracedRun struct {
	exitResult
	calls []call
}

// run runs a program. It stays on one thread, since only the thread that started a process may
// trace it.
func (tr tracer) run(program string, args, env []string) (run tracedRun, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var files, outputs [3]*os.File
	if files[0], err = os.Open(os.DevNull); err != nil {
		return run, err
	}
	defer files[0].Close()
	for i := 1; i < 3; i++ { // the outputs fit in the buffers of pipes
		if outputs[i], files[i], err = os.Pipe(); err != nil {
			return run, err
		}
		defer outputs[i].Close()
	}
	process, err := os.StartProcess(program, append([]string{program}, args...), &os.ProcAttr{
		Env: env, Files: files[:], Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	files[1].Close()
	files[2].Close()
	if err != nil {
		return run, err
	}
	defer process.Release()
	timeout := time.AfterFunc(2*time.Minute, func() { process.Kill() })
	defer timeout.Stop()
	t := tracee{tracer: tr, pid: process.Pid}
	run.status, err = t.follow()
	run.calls = t.calls
	if err != nil {
		process.Kill()
		return run, err
	}
	for i, output := range map[int]*string{1: &run.stdout, 2: &run.stderr} {
		raw, err := io.ReadAll(outputs[i])
		if err != nil {
			return run, err
		}
		*output = string(raw)
	}
	return run, nil
}

// tracee is a traced process. It has a process group of its own, so that follow does not wait for
// other children of this process.
type tracee struct {
	tracer
	pid    int
	calls  []call
	counts map[call]int
	inCall map[int]syscall.Errno // threads in a system call, and the error to return from it
}

// follow lets the process run from stop to stop until it ends.
func (t *tracee) follow() (status syscall.WaitStatus, err error) {
	const ownThreads = unix.WALL | unix.WNOTHREAD
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	t.counts, t.inCall = map[call]int{}, map[int]syscall.Errno{}
	if _, err := syscall.Wait4(t.pid, &status, ownThreads, nil); err != nil {
		return status, err
	}
	if err := syscall.PtraceSetOptions(t.pid, options); err != nil {
		return status, err
	}
	known := map[int]bool{t.pid: true} // threads
	for thread, signal := t.pid, syscall.Signal(0); ; {
		err := syscall.PtraceSyscall(thread, int(signal))
		if err != nil && err != syscall.ESRCH { // ESRCH: it has just been killed
			return status, err
		}
		if thread, err = syscall.Wait4(-t.pid, &status, ownThreads, nil); err != nil {
			return status, err
		}
		for status.Exited() || status.Signaled() {
			if thread == t.pid {
				return status, nil
			}
			if thread, err = syscall.Wait4(-t.pid, &status, ownThreads, nil); err != nil {
				return status, err
			}
		}
		switch signal = status.StopSignal(); {
		case signal == syscall.SIGTRAP|0x80: // before or after a system call
			signal = 0
			if err := t.stopAtCall(thread); err != nil && err != syscall.ESRCH {
				return status, err
			}
		case signal == syscall.SIGTRAP, signal == syscall.SIGSTOP && !known[thread]:
			known[thread], signal = true, 0 // caused by tracing, not for the program
		}
	}
}

// stopAtCall handles a thread that enters or leaves a system call.
func (t *tracee) stopAtCall(thread int) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(thread, &regs); err != nil {
		return nil // it has just been killed
	}
	if errno, leaving := t.inCall[thread]; leaving {
		delete(t.inCall, thread)
		if errno == 0 {
			return nil
		}
		regs.Rax = uint64(-int64(errno))
		return syscall.PtraceSetRegs(thread, &regs)
	}
	t.inCall[thread] = 0
	c, inFolder := t.call(thread, &regs)
	if !inFolder {
		return nil
	}
	t.counts[c]++
	c.nth = t.counts[c]
	t.calls = append(t.calls, c)
	f := t.decide(c)
	t.inCall[thread] = f.errno
	switch {
	case f.signal != 0:
		return syscall.Kill(t.pid, f.signal)
	case f.errno != 0 && c.name != "close":
		regs.Orig_rax = ^uint64(0) // an invalid call, which does nothing
		return syscall.PtraceSetRegs(thread, &regs)
	}
	return nil
}

// call returns the system call that a thread is entering, and whether it is on the folder.
func (tr tracer) call(thread int, regs *syscall.PtraceRegs) (c call, inFolder bool) {
	s, known := systemCalls[regs.Orig_rax]
	if !known {
		return c, false
	}
	arguments := [...]uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10}
	var paths []string
	for _, i := range s.paths {
		paths = append(paths, pathAt(thread, arguments[i]))
	}
	if s.fd != noDescriptor && strings.Join(paths, "") == "" {
		paths = []string{openPath(thread, int32(arguments[s.fd]))}
	}
	for i, path := range paths {
		if fd, ok := strings.CutPrefix(path, "/proc/self/fd/"); ok {
			path = openPath(thread, fd)
		}
		below, err := filepath.Rel(tr.folder, strings.TrimSuffix(path, " (deleted)"))
		outside := err != nil || below == ".." || strings.HasPrefix(below, "../")
		inFolder = inFolder || !outside && filepath.IsAbs(path)
		paths[i] = randomNamePart.ReplaceAllString(below, "$1*")
	}
	return call{name: s.name, path: strings.Join(paths, " ")}, inFolder
}

// randomNamePart matches the random part of a temporary file's name.
var randomNamePart = regexp.MustCompile(`(\.)[0-9]+(?:\b)`)

// openPath returns the path of an open file of a thread, "" if there is none.
func openPath(thread int, fd any) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%v", thread, fd))
	return path
}

// pathAt reads a string from the memory of a thread.
func pathAt(thread int, address uint64) string {
	buf := make([]byte, 0, unix.PathMax)
	for address != 0 && len(buf) < cap(buf) {
		page := buf[len(buf):min(cap(buf), len(buf)+64)]
		n, err := syscall.PtracePeekData(thread, uintptr(address)+uintptr(len(buf)), page)
		buf = buf[:len(buf)+n]
		if i := strings.IndexByte(string(buf), 0); i >= 0 {
			return string(buf[:i])
		}
		if err != nil || n == 0 {
			break
		}
	}
	return cmp.Or(string(buf), "")
}
