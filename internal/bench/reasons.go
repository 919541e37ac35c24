package main

import (
	"strings"
)

// fileReasons are the reasons for which a warm run opens files, by the start or end of the path.
var fileReasons = []struct{ prefix, suffix, reason string }{
	{
		prefix: "/sys/kernel/mm/transparent_hugepage/",
		reason: "Go's runtime, as in every program: the size of huge pages",
	},
	{prefix: "/proc/self/cgroup", reason: "Go's runtime: the CPU limit of the container"},
	{prefix: "/proc/self/mountinfo", reason: "Go's runtime: the CPU limit of the container"},
	{prefix: "/sys/fs/cgroup/", reason: "Go's runtime: the CPU limit of the container"},
	{suffix: "/azure-identity-token", reason: "the federated token, which is the key of what follows"},
	{suffix: ".memo", reason: "the exec credential that an earlier run of the same command line stored"},
}

// whyOpened returns the reason for which a warm run opens a file, or "".
func whyOpened(path string) string {
	for _, f := range fileReasons {
		if f.prefix != "" && strings.HasPrefix(path, f.prefix) ||
			f.suffix != "" && strings.HasSuffix(path, f.suffix) {
			return f.reason
		}
	}
	return ""
}

// callReasons are the reasons for which a warm run makes more system calls than an empty Go program
// does, by the name of the call. The calls in schedulerCalls need no reason.
var callReasons = map[string]string{
	"close":         "the files and descriptors that were opened",
	"dup":           "checks that a login has enough file descriptors; without them Go's runtime crashes",
	"epoll_create1": "Go starts its netpoller with the first timer, the timeout of disk accesses",
	"epoll_ctl":     "likewise",
	"eventfd2":      "likewise",
	"fcntl":         "Go's os package: whether reads of a file block, standard input and output included",
	"fstat":         "the owner and the size of the stored exec credential and of the federated token file",
	"geteuid":       "whether the cache directory and the stored exec credential belong to this user",
	"madvise":       "Go's memory",
	"mmap":          "Go's memory",
	"munmap":        "Go's memory",
	"newfstatat":    "identify the program's own file, the federated token file and the cache directory",
	"openat":        "the federated token and the stored exec credential",
	// sysmonUpdateGOMAXPROCS in Go's runtime/proc.go.
	"pread64":    "Go's runtime: the CPU limit of the container again, if the run is not over by then",
	"prctl":      "disables core dumps",
	"prlimit64":  "Go's os package: raises the limit of open files",
	"read":       "the federated token and the stored exec credential",
	"readlinkat": "Go's os package: the path of the program",
	"write":      "prints the exec credential",
}

// schedulerCalls are the system calls of Go's scheduler and of its threads. Their number depends on
// chance.
var schedulerCalls = []string{
	"clone", "clone3", "epoll_pwait", "futex", "getpid", "gettid", "nanosleep", "restart_syscall",
	"rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_yield", "sigaltstack", "tgkill",
}
