package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A trace is what strace saw of a run.
type trace struct {
	calls  map[string]int
	opened []openedFile // in order
}

type openedFile struct {
	path   string
	absent bool
	read   int // bytes
}

var (
	callLine    = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)$`)
	openedPath  = regexp.MustCompile(`"([^"]*)"`)
	descriptor  = regexp.MustCompile(`^(\d+)`)
	result      = regexp.MustCompile(`\) += (-?\d+)[^=]*$`)
)

// parseTrace reads what strace -f -s 0 writes.
func parseTrace(r io.Reader) (trace, error) {
	t := trace{calls: map[string]int{}}
	files := map[string]int{} // by descriptor, the index in opened
	begun := map[string]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		var name, arguments string
		if m := callLine.FindStringSubmatch(line); m != nil {
			name, arguments = m[2], m[3]
			t.calls[name]++
			if before, unfinished := strings.CutSuffix(arguments, "<unfinished ...>"); unfinished {
				begun[m[1]] = before
				continue
			}
		} else if m := resumedLine.FindStringSubmatch(line); m != nil {
			name, arguments = m[2], begun[m[1]]+m[3]
		} else {
			continue
		}
		ended := result.FindStringSubmatch(arguments)
		if ended == nil {
			continue
		}
		returned, _ := strconv.Atoi(ended[1]) // only rt_sigreturn gives more than an int has
		switch name {
		case "open", "openat":
			path := openedPath.FindStringSubmatch(arguments)
			if path == nil {
				return trace{}, fmt.Errorf("%q opens nothing", line)
			}
			files[ended[1]] = len(t.opened)
			t.opened = append(t.opened, openedFile{path: path[1], absent: returned < 0})
		case "socket", "pipe2", "eventfd2", "epoll_create1":
			delete(files, ended[1])
		case "read", "pread64":
			if at, ok := files[descriptor.FindString(arguments)]; ok && returned > 0 {
				t.opened[at].read += returned
			}
		}
	}
	return t, lines.Err()
}

// trace runs c under strace.
func (f *field) trace(c *contestant) (trace, error) {
	if err := f.prepare(c); err != nil {
		return trace{}, err
	}
	file := filepath.Join(f.dir, "strace")
	words, env := f.command(c)
	strace := exec.Command(
		"strace",
		slices.Concat([]string{"-f", "-s", "0", "-o", file, "--"}, words)...)
	strace.Env = env
	if out, err := strace.CombinedOutput(); err != nil {
		return trace{}, fmt.Errorf("strace: %w\n%s", err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return trace{}, err
	}
	return parseTrace(bytes.NewReader(raw))
}

// fewest traces c several times and takes the fewest calls of each kind: the rest is chance, as
// Go's scheduler would have it.
func (f *field) fewest(c *contestant) (trace, error) {
	best, err := f.trace(c)
	for range 4 {
		if err != nil {
			return trace{}, err
		}
		var t trace
		t, err = f.trace(c)
		maps.DeleteFunc(best.calls, func(name string, _ int) bool { return t.calls[name] == 0 })
		for name := range best.calls {
			best.calls[name] = min(best.calls[name], t.calls[name])
		}
	}
	return best, err
}

// scheduling are the calls of Go's scheduler and of its threads, as many as chance will have.
var scheduling = []string{
	"nanosleep",
	"futex",
	"sched_yield",
	"tgkill",
	"getpid",
	"rt_sigreturn",
	"epoll_pwait",
	"restart_syscall",
	"clone",
	"clone3",
	"gettid",
	"sigaltstack",
	"rt_sigprocmask",
	"sched_getaffinity",
}

// number is how many calls there were, but for those.
func (t trace) number() (n int) {
	for name, calls := range t.calls {
		if !slices.Contains(scheduling, name) {
			n += calls
		}
	}
	return n
}

// beyond are the calls that t has and other has not, by name.
func (t trace) beyond(other trace) map[string]int {
	more := map[string]int{}
	for name, n := range t.calls {
		if n > other.calls[name] && !slices.Contains(scheduling, name) {
			more[name] = n - other.calls[name]
		}
	}
	return more
}

// without are those of some calls that have no reason.
func without(beyond map[string]int, reasons map[string]string) map[string]int {
	unexplained := maps.Clone(beyond)
	maps.DeleteFunc(unexplained, func(name string, _ int) bool { return reasons[name] != "" })
	return unexplained
}

// added are how many calls those are.
func added(beyond map[string]int) (n int) {
	for _, calls := range beyond {
		n += calls
	}
	return n
}

// bytes is how many were read from files.
func (t trace) bytes() (n int) {
	for _, file := range t.opened {
		n += file.read
	}
	return n
}

// files are those that were opened, how much was read of them, and what for.
func (t trace) files(why func(path string) string) (all []string, unexplained int) {
	for _, file := range t.opened {
		size := fmt.Sprintf("%d bytes", file.read)
		if file.absent {
			size = "absent"
		}
		reason := why(file.path)
		if reason == "" {
			reason = "?"
			unexplained++
		}
		all = append(all, fmt.Sprintf("%s (%s): %s", file.path, size, reason))
	}
	return all, unexplained
}

// rootFolders are where Go looks for the system's root certificates on Linux.
var rootFolders = []string{"/etc/ssl/", "/etc/pki/", "/etc/openssl/"}

// roots counts the files with root certificates that were opened: the one that $SSL_CERT_FILE
// names, and the system's.
func (t trace) roots(named string) (n int) {
	for _, file := range t.opened {
		if !file.absent &&
			(file.path == named || slices.ContainsFunc(rootFolders, func(folder string) bool { return strings.HasPrefix(file.path, folder) })) {
			n++
		}
	}
	return n
}

// memory returns the peak memory of c in MB and its minor page faults, in thirty runs.
func (f *field) memory(launch string, c *contestant) (peak, faults spread, err error) {
	var megabytes, pages []float64
	for range 30 {
		kib, n, err := f.launch(launch, c)
		if err != nil {
			return spread{}, spread{}, fmt.Errorf(
				"%s, to see how much memory it takes: %w",
				c.name,
				err,
			)
		}
		megabytes, pages = append(megabytes, kib*1024/1e6), append(pages, n)
	}
	return spreadOf(megabytes), spreadOf(pages), nil
}

func (f *field) launch(launch string, c *contestant) (kib, pages float64, err error) {
	if err := f.prepare(c); err != nil {
		return 0, 0, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return 0, 0, err
	}
	defer read.Close()
	words, env := f.command(c)
	cmd := exec.Command(launch, words...)
	cmd.Env, cmd.ExtraFiles = env, []*os.File{write}
	err = cmd.Run()
	write.Close()
	if err == nil {
		_, err = fmt.Fscan(read, &kib, &pages)
	}
	return kib, pages, err
}

var collected = regexp.MustCompile(`Collected : (\d+)`)

// instructions is how many c executes as valgrind counts them, in millions: they hardly differ from
// run to run. 0: valgrind did not survive, which happens with Go programs.
func (f *field) instructions(c *contestant) (millions float64, err error) {
	words, env := f.command(c)
	for range 10 {
		if err := f.prepare(c); err != nil {
			return 0, err
		}
		valgrind := exec.Command(
			"valgrind",
			slices.Concat([]string{"--tool=callgrind", "--callgrind-out-file=/dev/null"}, words)...)
		valgrind.Env = env
		out, err := valgrind.CombinedOutput()
		if m := collected.FindSubmatch(out); err == nil && m != nil {
			n, err := strconv.ParseFloat(string(m[1]), 64)
			return n / 1e6, err
		}
	}
	return 0, nil
}
