package cli

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdFake checks the runs of the fake az and azd, which log themselves in $FAKE_LOG:
//
//	fake runs N    checks that there were N runs
//	fake await N   waits until there were N runs or more
//	fake alive N   waits until N of them are still running, children included
//	fake reset     empties the log
func cmdFake(ts *testscript.TestScript, neg bool, args []string) {
	file := ts.Getenv("FAKE_LOG")
	if args[0] == "reset" {
		ts.Check(os.RemoveAll(file))
		return
	}
	ended := func(pid int) bool { return !isRunning(pid, ts.Getenv("WORK")) }
	count := map[string]func() int{
		"runs":  func() int { return len(fakeRuns(file, false)) },
		"await": func() int { return len(fakeRuns(file, false)) },
		"alive": func() int { return len(slices.DeleteFunc(fakeRuns(file, true), ended)) },
	}[args[0]]
	want := parseInt(ts, args[1])
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		got := count()
		switch {
		case got == want, args[0] == "await" && got > want:
			return
		case args[0] == "runs" || time.Now().After(deadline):
			raw, _ := os.ReadFile(file)
			ts.Fatalf("%s: %d, want %d\n%s", args[0], got, want, raw)
		}
	}
}

// fakeRuns returns the process IDs in a log, with those of child processes if children is set. A
// missing log means no runs.
func fakeRuns(file string, children bool) (pids []int) {
	raw, _ := os.ReadFile(file)
	for line := range strings.Lines(string(raw)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, " ")+1:]))
		if err == nil && (children || !strings.HasPrefix(line, "child of ")) {
			pids = append(pids, pid)
		}
	}
	return pids
}
