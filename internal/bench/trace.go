package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A trace is what strace saw of a run.
type trace struct {
	calls  map[string]int // by the name of the system call
	opened []openedFile   // in the order of the calls
}

type openedFile struct {
	path   string
	absent bool
	read   int // bytes
}

var (
	callLine       = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumedLine    = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)$`)
	pathArgument   = regexp.MustCompile(`"([^"]*)"`)
	firstArgument  = regexp.MustCompile(`^(\d+)`)
	returnedResult = regexp.MustCompile(`\) += (-?\d+)[^=]*$`)
)

// parseTrace parses the output of strace -f -s 0.
func parseTrace(r io.Reader) (trace, error) {
	t := trace{calls: map[string]int{}}
	files := map[string]int{}         // descriptor: index in t.opened
	unfinished := map[string]string{} // process ID: start of the arguments
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		var name, arguments string
		if m := callLine.FindStringSubmatch(line); m != nil {
			name, arguments = m[2], m[3]
			t.calls[name]++
			if start, ok := strings.CutSuffix(arguments, "<unfinished ...>"); ok {
				unfinished[m[1]] = start
				continue
			}
		} else if m := resumedLine.FindStringSubmatch(line); m != nil {
			name, arguments = m[2], unfinished[m[1]]+m[3]
		} else {
			continue
		}
		result := returnedResult.FindStringSubmatch(arguments)
		if result == nil {
			continue
		}
		returned, _ := strconv.Atoi(result[1]) // only rt_sigreturn's can exceed an int
		switch name {
		case "open", "openat":
			path := pathArgument.FindStringSubmatch(arguments)
			if path == nil {
				return trace{}, fmt.Errorf("strace: no path in %q", line)
			}
			files[result[1]] = len(t.opened)
			t.opened = append(t.opened, openedFile{path: path[1], absent: returned < 0})
		case "socket", "pipe2", "eventfd2", "epoll_create1":
			delete(files, result[1]) // the descriptor is reused for something else
		case "read", "pread64":
			i, ok := files[firstArgument.FindString(arguments)]
			if ok && returned > 0 {
				t.opened[i].read += returned
			}
		}
	}
	return t, lines.Err()
}

// sampleTrace runs c under strace. It keeps the fewest calls of each kind that any run made.
func (r *runner) sampleTrace(c *contestant) error {
	if err := r.prepare(c); err != nil {
		return err
	}
	output := filepath.Join(r.dir, "strace")
	strace := r.command(c, "strace", "-f", "-s", "0", "-o", output, "--")
	if out, err := strace.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: strace: %w\n%s", c.name, err, out)
	}
	file, err := os.Open(output)
	if err != nil {
		return err
	}
	defer file.Close()
	t, err := parseTrace(file)
	if err != nil {
		return err
	}
	if c.trace.calls == nil {
		c.trace, c.rootFiles = t, t.rootFiles(r.entra.CAFile)
		return nil
	}
	maps.DeleteFunc(c.trace.calls, func(name string, _ int) bool { return t.calls[name] == 0 })
	for name := range c.trace.calls {
		c.trace.calls[name] = min(c.trace.calls[name], t.calls[name])
	}
	return nil
}

// number returns how many system calls there were, without the scheduler's.
func (t trace) number() int { return sum(t.beyond(trace{})) }

// beyond returns how many more system calls t has than other, by name, without the scheduler's.
// Calls of which t has no more are left out.
func (t trace) beyond(other trace) map[string]int {
	more := map[string]int{}
	for name, n := range t.calls {
		if n > other.calls[name] && !slices.Contains(schedulerCalls, name) {
			more[name] = n - other.calls[name]
		}
	}
	return more
}

// unexplained returns those of the calls that have no reason.
func unexplained(calls map[string]int, reasons map[string]string) map[string]int {
	rest := maps.Clone(calls)
	maps.DeleteFunc(rest, func(name string, _ int) bool { return reasons[name] != "" })
	return rest
}

// sum returns the number of calls of all names.
func sum(calls map[string]int) (total int) {
	for _, n := range calls {
		total += n
	}
	return total
}

// bytes returns how many bytes were read from files.
func (t trace) bytes() (n int) {
	for _, file := range t.opened {
		n += file.read
	}
	return n
}

// files returns a line for each file that was opened: its path, how much of it was read, and the
// reason. A file of which reasonFor returns "" counts as unexplained.
func (t trace) files(reasonFor func(path string) string) (lines []string, unexplained int) {
	for _, file := range t.opened {
		size := fmt.Sprintf("%d bytes", file.read)
		if file.absent {
			size = "absent"
		}
		reason := reasonFor(file.path)
		if reason == "" {
			reason = "?"
			unexplained++
		}
		lines = append(lines, fmt.Sprintf("%s (%s): %s", file.path, size, reason))
	}
	return lines, unexplained
}

// systemRoots are where Go looks for the system's root certificates on Linux.
var systemRoots = []string{"/etc/ssl/", "/etc/pki/", "/etc/openssl/"}

// rootFiles counts the files with root certificates that were opened: the one that $SSL_CERT_FILE
// names, and the system's.
func (t trace) rootFiles(sslCertFile string) (n int) {
	for _, file := range t.opened {
		isSystems := slices.ContainsFunc(systemRoots, func(dir string) bool {
			return strings.HasPrefix(file.path, dir)
		})
		if !file.absent && (isSystems || file.path == sslCertFile) {
			n++
		}
	}
	return n
}

var instructionsLine = regexp.MustCompile(`Collected : (\d+)`)

// sampleInstructions has valgrind count the instructions of c. Valgrind sometimes crashes while it
// runs a Go program: after ten attempts there is no count.
func (r *runner) sampleInstructions(c *contestant) error {
	c.instructions = math.NaN()
	for range 10 {
		if err := r.prepare(c); err != nil {
			return err
		}
		valgrind := r.command(c, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
		out, err := valgrind.CombinedOutput()
		if line := instructionsLine.FindSubmatch(out); err == nil && line != nil {
			c.instructions, err = strconv.ParseFloat(string(line[1]), 64)
			return err
		}
	}
	return nil
}
