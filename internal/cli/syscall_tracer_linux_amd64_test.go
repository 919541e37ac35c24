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

// A tracer runs a program and has the disk fail on purpose: it stops it at every system call that
// touches a folder, and lets the call pass, fail, or be the program's last. strace -e inject counts
// calls a thread, and Go moves a goroutine from thread to thread: it would not hit the same one
// twice.
type tracer struct {
	under  string           // the folder
	decide func(call) fault // is asked at each call, before it is made
}

// call is a system call as it is the same in every run: names that are made by chance are replaced.
type call struct {
	name string
	path string // below the folder; two of them for a renaming
	nth  int    // of this name and path, from 1
}

func (c call) String() string { return fmt.Sprintf("%s %s (%d)", c.name, c.path, c.nth) }

// fault is what becomes of a call. The zero value lets it pass.
type fault struct {
	kill  bool          // the program ends before it is made
	errno syscall.Errno // it is not made and fails; but a close is made, as Linux does
}

// systemCall says in which arguments a system call has paths (behind a folder's descriptor) and a
// descriptor.
type systemCall struct {
	name  string
	paths []int
	fd    int
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
	unix.SYS_UTIMENSAT:  {"utimensat", []int{1}, 0}, // without a path it is the descriptor's
}

// tracedRun is what came of a run, and the calls it made.
type tracedRun struct {
	exitResult
	calls []call
}

// run is in the calling thread's hands from beginning to end: only it may trace what it started.
func (tr tracer) run(program string, args, env []string) (done tracedRun, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ends [3]*os.File
	if ends[0], err = os.Open(os.DevNull); err != nil {
		return done, err
	}
	defer ends[0].Close()
	var outputs [3]*os.File
	for i := 1; i < 3; i++ { // what is written fits in a pipe
		if outputs[i], ends[i], err = os.Pipe(); err != nil {
			return done, err
		}
		defer outputs[i].Close()
	}
	process, err := os.StartProcess(program, append([]string{program}, args...), &os.ProcAttr{
		Env: env, Files: ends[:], Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	ends[1].Close()
	ends[2].Close()
	if err != nil {
		return done, err
	}
	defer process.Release()
	stuck := time.AfterFunc(2*time.Minute, func() { process.Kill() })
	defer stuck.Stop()
	done.status, done.calls, err = tr.follow(process.Pid)
	if err != nil {
		process.Kill()
		return done, err
	}
	for i, to := range map[int]*string{1: &done.stdout, 2: &done.stderr} {
		raw, err := io.ReadAll(outputs[i])
		if err != nil {
			return done, err
		}
		*to = string(raw)
	}
	return done, nil
}

// follow goes from stop to stop until the program ends. The program has a process group of its own:
// other children are not waited for here.
func (tr tracer) follow(pid int) (end syscall.WaitStatus, calls []call, err error) {
	const mine = unix.WALL | unix.WNOTHREAD
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, mine, nil); err != nil {
		return ws, nil, err
	}
	if err := syscall.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return ws, nil, err
	}
	inside := map[int]syscall.Errno{} // threads in a call, and the error that is to come of it
	known := map[int]bool{pid: true}
	seen := map[call]int{}
	for thread, signal := pid, syscall.Signal(0); ; {
		if err := syscall.PtraceSyscall(thread, int(signal)); err != nil && err != syscall.ESRCH { // it was killed meanwhile
			return ws, calls, err
		}
		if thread, err = syscall.Wait4(-pid, &ws, mine, nil); err != nil {
			return ws, calls, err
		}
		for ws.Exited() || ws.Signaled() {
			if thread == pid {
				return ws, calls, nil
			}
			if thread, err = syscall.Wait4(-pid, &ws, mine, nil); err != nil {
				return ws, calls, err
			}
		}
		signal = ws.StopSignal()
		switch {
		case signal == syscall.SIGTRAP|0x80:
			signal = 0
		case signal == syscall.SIGTRAP, signal == syscall.SIGSTOP && !known[thread]: // of the tracer's own making
			known[thread], signal = true, 0
			continue
		default:
			continue
		}
		var regs syscall.PtraceRegs
		if err := syscall.PtraceGetRegs(thread, &regs); err != nil {
			continue
		}
		if errno, leaving := inside[thread]; leaving {
			delete(inside, thread)
			if errno != 0 {
				regs.Rax = uint64(-int64(errno))
				err = syscall.PtraceSetRegs(thread, &regs)
			}
		} else {
			inside[thread] = 0
			c, touches := tr.call(thread, &regs)
			if touches {
				seen[c]++
				c.nth = seen[c]
				calls = append(calls, c)
				f := tr.decide(c)
				if f.kill {
					err = syscall.Kill(pid, syscall.SIGKILL)
				}
				if inside[thread] = f.errno; f.errno != 0 && c.name != "close" {
					regs.Orig_rax = ^uint64(0)
					err = syscall.PtraceSetRegs(thread, &regs)
				}
			}
		}
		if err != nil && err != syscall.ESRCH {
			return ws, calls, err
		}
	}
}

// call reads what a thread is about to do.
func (tr tracer) call(thread int, regs *syscall.PtraceRegs) (c call, touches bool) {
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
		if fd, found := strings.CutPrefix(path, "/proc/self/fd/"); found {
			path = openPath(thread, fd)
		}
		below, err := filepath.Rel(tr.under, strings.TrimSuffix(path, " (deleted)"))
		inside := err == nil && below != ".." && !strings.HasPrefix(below, "../") && filepath.IsAbs(path)
		touches = touches || inside
		paths[i] = randomNamePart.ReplaceAllString(below, "$1*")
	}
	return call{name: s.name, path: strings.Join(paths, " ")}, touches
}

// randomNamePart finds what of a file's name is different in every run.
var randomNamePart = regexp.MustCompile(`(\.)[0-9]+(?:\b)`)

func openPath(thread int, fd any) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%v", thread, fd))
	return path
}

// pathAt reads a string of the program's.
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
