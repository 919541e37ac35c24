// Bench measures the program as it is shipped, in turn with a program that does nothing and with
// kubelogin, all against an emulated Entra ID, and says which of the bounds that were set are met.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/internal/kubelogin"
)

const (
	away    = 20 * time.Millisecond // how far Entra ID is from those for whom it is not beside
	crowded = 10_000                // entries
	atOnce  = 100                   // processes
)

func main() {
	rounds := flag.Int("rounds", 200, "how often each contestant runs")
	out := flag.String("out", "", "the folder that bench.json and bench.svg are written to")
	check := flag.Bool("check", false, "fail where a number is far beyond its bound")
	flag.Parse()
	if flag.NArg() != 3 || *rounds < 1 {
		fmt.Fprintln(
			os.Stderr,
			"usage: bench [-rounds N] [-out FOLDER] [-check] AKSLOGIN EMPTY LAUNCH",
		)
		os.Exit(2)
	}
	if runtime.GOOS != "linux" {
		fmt.Fprintln(
			os.Stderr,
			"bench: programs are made to trust the emulator by SSL_CERT_FILE; run it on Linux",
		)
		os.Exit(1)
	}
	tb := &entratest.ProgramTB{Name: "bench"}
	r, err := bench(tb, *rounds, flag.Arg(0), flag.Arg(1), flag.Arg(2))
	if unexpected := tb.Close(); err == nil {
		err = unexpected
	}
	if err == nil {
		r.print(os.Stdout)
		if *out != "" {
			err = r.write(*out)
		}
	}
	if err == nil && *check {
		wrong := r.far()
		if os.Getenv("AKSLOGIN_TEST_CLIENTS") == "required" {
			wrong = append(wrong, r.Missing...)
		}
		if len(wrong) > 0 {
			err = errors.New(strings.Join(wrong, "\nbench: "))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is the whole of it.
func bench(tb entratest.TB, rounds int, program, empty, launch string) (*report, error) {
	for _, path := range []*string{&program, &empty, &launch} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = absolute
	}
	f, err := newField(tb)
	if err != nil {
		return nil, err
	}
	r := &report{Machine: machine(), Program: built(program), Rounds: rounds, Settings: []string{
		fmt.Sprintf(
			"%d rounds; in each all run once, in another order; ratios are of the runs of one round, and their medians are shown",
			rounds,
		),
		"a run is from the start of the process to its end, its output in a file; the median of very many rounds would be within the first two numbers, with 95 %; the ratio of the fastest is beside",
		"Entra ID is emulated on this machine, behind the public cloud's names and a proxy: the CPU that it needs is this machine's too",
		fmt.Sprintf(
			"%s an answer: every HTTP answer comes that much later; %[1]s a round trip: everything on the way does, the connection and TLS too",
			away,
		),
		"kubelogin " + kubelogin.Version + " from the Go module proxy, static as its releases; the flags are the same, and those of a kubeconfig",
	}}

	nothing := &contestant{name: "empty Go program", program: empty, silent: true}
	warm := &contestant{name: "akslogin, warm", program: program}
	many := &contestant{
		name:    "akslogin, warm, 10,000 entries in its cache",
		program: program,
		crowded: crowded,
	}
	cold := &contestant{
		name:    "akslogin, cold, 20 ms an answer",
		program: program,
		cold:    true,
		latency: away,
	}
	far := &contestant{
		name:     "akslogin, cold, 20 ms a round trip",
		program:  program,
		cold:     true,
		distance: away,
	}

	kubelogin, err := kubelogin.Program()
	if err != nil {
		r.Missing = append(r.Missing, err.Error())
	}
	kWarm := &contestant{name: "kubelogin, warm", program: kubelogin}
	kLate := &contestant{
		name:    "kubelogin, warm, 20 ms an answer",
		program: kubelogin,
		latency: away,
	}
	kAlone := &contestant{
		name:    "kubelogin, warm, --disable-instance-discovery",
		program: kubelogin,
		args:    []string{"--disable-instance-discovery"},
	}
	kCold := &contestant{
		name:    "kubelogin, cold, 20 ms an answer",
		program: kubelogin,
		cold:    true,
		latency: away,
	}
	kFar := &contestant{
		name:     "kubelogin, cold, 20 ms a round trip",
		program:  kubelogin,
		cold:     true,
		distance: away,
	}
	all := []*contestant{nothing, warm, many, kAlone, kWarm, kLate, cold, kCold, far, kFar}
	all = slices.DeleteFunc(all, func(c *contestant) bool { return c.program == "" })

	fmt.Fprintf(
		os.Stderr,
		"bench: %d rounds of %d runs; a hundred rounds take a minute or two\n",
		rounds,
		len(all),
	)
	before := load()
	for _, c := range all {
		if err := f.enter(c); err != nil {
			return nil, err
		}
	}
	if err := f.compete(all, rounds); err != nil {
		return nil, err
	}
	for _, c := range all {
		r.Timings = append(
			r.Timings,
			timing{
				c.name,
				spreadOf(ms(c.runs, wall)),
				spreadOf(ms(c.runs, cpu)),
				c.requests,
				c.connections,
			},
		)
	}

	if before != "" {
		r.Settings = append(
			r.Settings,
			fmt.Sprintf(
				"the machine's load was %s before the rounds and %s after them: what else it does makes all times longer, and ratios of short ones smaller",
				before,
				load(),
			),
		)
	}

	r.addRatio("warm / empty Go program", warm, nothing, atMost(3, 5))
	if kubelogin != "" {
		r.addRatio("kubelogin warm / warm, Entra ID at no distance", kWarm, warm, atLeast(6, 2.5))
		r.addRatio(
			"kubelogin warm / warm, Entra ID at 20 ms an answer",
			kLate,
			warm,
			atLeast(10, 3),
		)
		r.addRatio("kubelogin warm with --disable-instance-discovery / warm", kAlone, warm, nil)
		r.addRatio(
			"kubelogin cold / cold, Entra ID at 20 ms an answer",
			kCold,
			cold,
			atLeast(2, 1.1),
		)
		r.addRatio("kubelogin cold / cold, Entra ID at 20 ms a round trip", kFar, far, nil)
	}
	r.addRatio("warm with 10,000 entries in the cache / with one", many, warm, atMost(1.1, 3))
	r.add("warm: requests", "", float64(warm.requests), exactly(0))
	r.add("cold: requests", "", float64(cold.requests), exactly(1))
	r.add("cold: connections", "", float64(cold.connections), exactly(1))
	if kubelogin != "" {
		r.add("kubelogin warm: requests", "", float64(kWarm.requests), nil)
		r.add("kubelogin cold: requests", "", float64(kCold.requests), nil)
	}
	for _, step := range []func(*report) error{
		func(r *report) error { return f.countRoundTrips(r, "cold: round trips", cold, exactly(3)) },
		func(r *report) error {
			if kubelogin == "" {
				return nil
			}
			return f.countRoundTrips(r, "kubelogin cold: round trips", kCold, nil)
		},
		func(r *report) error { return f.crowds(r, warm, cold, max(3, min(rounds/10, 20))) },
		func(r *report) error { return f.sizes(r, launch, nothing, warm) },
		func(r *report) error { return f.traces(r, nothing, warm, cold) },
		func(r *report) error { return f.countInstructions(r, nothing, warm) },
	} {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// countRoundTrips finds out how often c waits for the network: by so much slower is it where a
// round trip takes longer than all the rest.
func (f *field) countRoundTrips(r *report, what string, c *contestant, l *limit) error {
	const long = 500 * time.Millisecond
	fastest := func(distance time.Duration) (time.Duration, error) {
		here := *c
		here.latency, here.distance = 0, distance
		best := time.Hour
		for range 3 {
			t, err := f.run(&here)
			if err != nil {
				return 0, err
			}
			best = min(best, t.wall)
		}
		return best, nil
	}
	near, err := fastest(0)
	if err != nil {
		return err
	}
	far, err := fastest(long)
	if err != nil {
		return err
	}
	r.add(what, "", float64((far-near+long/2)/long), l)
	return nil
}

// crowds lets many start at once: all warm, and all cold.
func (f *field) crowds(r *report, warm, cold *contestant, rounds int) error {
	var warmly, coldly, ratios []float64
	exchange := paired(cold, warm, minus).Median
	requests := 0
	for range rounds {
		w, err := f.atOnce(warm, atOnce)
		if err != nil {
			return err
		}
		c, err := f.atOnce(cold, atOnce)
		if err != nil {
			return err
		}
		requests = max(requests, f.entra.TokenRequests())
		warmly, coldly = append(warmly, w.Seconds()*1000), append(coldly, c.Seconds()*1000)
		ratios = append(ratios, (c.Seconds()*1000-exchange)/(w.Seconds()*1000))
	}
	r.add("100 cold at once: token requests, the most", "", float64(requests), exactly(1))
	r.addSpread(
		"100 cold at once, less one exchange / 100 warm at once",
		"",
		spreadOf(ratios),
		atMost(1.5, 4),
	)
	r.addSpread("100 warm at once", "ms", spreadOf(warmly), nil)
	r.addSpread("100 cold at once", "ms", spreadOf(coldly), nil)
	r.add("one exchange: cold less warm, 20 ms an answer", "ms", exchange, nil)
	return nil
}

func (f *field) sizes(r *report, launch string, nothing, warm *contestant) error {
	peak, faults, err := f.memory(launch, warm)
	if err != nil {
		return err
	}
	_, base, err := f.memory(launch, nothing)
	if err != nil {
		return err
	}
	r.addSpread("warm: peak memory", "MB", peak, atMost(16, 24))
	r.addLeast("warm: page faults, the least", "", faults, counted())
	r.addLeast("empty Go program: page faults, the least", "", base, counted())
	fi, err := os.Stat(warm.program)
	if err != nil {
		return err
	}
	r.add("size of the program", "MB", float64(fi.Size())/1e6, atMost(16, 16))
	return nil
}

// reasons are why a warm run opens files: by the beginning of their path, or by its end.
var reasons = []struct{ begin, end, why string }{
	{
		begin: "/sys/kernel/mm/transparent_hugepage/",
		why:   "Go's runtime, as in every program: the size of huge pages",
	},
	{begin: "/proc/self/cgroup", why: "Go's runtime: the container's share of CPUs"},
	{begin: "/proc/self/mountinfo", why: "Go's runtime: the container's share of CPUs"},
	{begin: "/sys/fs/cgroup/", why: "Go's runtime: the container's share of CPUs"},
	{end: "/azure-identity-token", why: "the federated token, which opens the memo"},
	{end: ".memo", why: "what an earlier run like it printed"},
}

// callReasons are why a warm run asks more of the kernel than an empty program. What the scheduler
// asks is left out, as many as chance will have.
var callReasons = map[string]string{
	"close":         "what was opened to be read or counted",
	"dup":           "whether as many files can be opened as a login needs: without, Go's runtime dies",
	"epoll_create1": "a timer bounds what a disk may take, and with the first one Go starts its poller",
	"epoll_ctl":     "likewise",
	"eventfd2":      "likewise",
	"fcntl":         "Go's os package: whether reading a file would block, standard input and output too",
	"fstat":         "whose the memo and the federated token's file are, and how large",
	"geteuid":       "whether the cache's folder and the memo are this user's",
	"madvise":       "Go's memory",
	"mmap":          "Go's memory",
	"munmap":        "Go's memory",
	"newfstatat":    "what the program's own file, the federated token's and the cache's folder are",
	"openat":        "the federated token and the memo",
	"prctl":         "no core files",
	"prlimit64":     "Go's os package: it raises the limit of open files",
	"read":          "the federated token and the memo",
	"readlinkat":    "Go's os package: which file the program is",
	"write":         "the answer",
}

func why(path string) string {
	for _, r := range reasons {
		if r.begin != "" && strings.HasPrefix(path, r.begin) ||
			r.end != "" && strings.HasSuffix(path, r.end) {
			return r.why
		}
	}
	return ""
}

// traces counts what is asked of the kernel.
func (f *field) traces(r *report, nothing, warm, cold *contestant) error {
	if _, err := exec.LookPath("strace"); err != nil {
		r.Missing = append(r.Missing, "system calls: there is no strace (apt-get install strace)")
		return nil
	}
	base, err := f.fewest(nothing)
	if err != nil {
		return err
	}
	t, err := f.fewest(warm)
	if err != nil {
		return err
	}
	var unexplained int
	r.Files, unexplained = t.files(why)
	r.Calls, r.Beyond = t.calls, t.beyond(base)
	r.add("warm: system calls, without the scheduler's", "", float64(t.number()), counted())
	r.add("warm: of these an empty Go program has not", "", float64(added(r.Beyond)), counted())
	r.add(
		"warm: system calls without a reason that is known here",
		"",
		float64(added(without(r.Beyond, callReasons))),
		exactly(0),
	)
	r.add("warm: files opened", "", float64(len(t.opened)), counted())
	r.add(
		"warm: files opened without a reason that is known here",
		"",
		float64(unexplained),
		exactly(0),
	)
	r.add("warm: bytes read from files", "", float64(t.bytes()), counted())
	exchange, err := f.trace(cold)
	if err != nil {
		return err
	}
	r.add(
		"cold: files with root certificates",
		"",
		float64(exchange.roots(f.entra.CAFile)),
		exactly(1),
	)
	return nil
}

// countInstructions is for comparisons on busy machines: the number hardly depends on them.
func (f *field) countInstructions(r *report, nothing, warm *contestant) error {
	if _, err := exec.LookPath("valgrind"); err != nil {
		return nil
	}
	for _, c := range []*contestant{nothing, warm} {
		n, err := f.instructions(c)
		if err != nil {
			return err
		}
		if n > 0 {
			r.add(c.name+": instructions", "million", n, nil)
		}
	}
	return nil
}
