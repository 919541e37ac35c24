package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdFake looks after the runs of az and azd, as they wrote them down in $FAKE_LOG: fake runs N
// says how many there were, fake await N waits for so many, fake alive N waits until so many are
// left, children included, and fake reset begins anew.
func cmdFake(ts *testscript.TestScript, neg bool, args []string) {
	file := ts.Getenv("FAKE_LOG")
	if args[0] == "reset" {
		ts.Check(os.RemoveAll(file))
		return
	}
	count := map[string]func() int{
		"runs":  func() int { return len(fakeRuns(file, false)) },
		"await": func() int { return len(fakeRuns(file, false)) },
		"alive": func() int {
			return len(slices.DeleteFunc(fakeRuns(file, true), func(pid int) bool { return !isRunning(pid, ts.Getenv("WORK")) }))
		},
	}[args[0]]
	want := parseInt(ts, args[1])
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		got := count()
		switch {
		case got == want, args[0] == "await" && got > want:
			return
		case args[0] == "runs" || time.Now().After(deadline):
			raw, _ := os.ReadFile(file)
			ts.Fatalf("%s: %d, wanted %d\n%s", args[0], got, want, raw)
		}
	}
}

// fakeRuns are the process IDs in a log, those of children too if asked for.
func fakeRuns(file string, children bool) (pids []int) {
	raw, _ := os.ReadFile(file) // none: no run
	for line := range strings.Lines(string(raw)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, " ")+1:]))
		if err == nil && (children || !strings.HasPrefix(line, "child of ")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isRunning says that a process runs, and is one of the script in that folder.
func isRunning(pid int, work string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains(string(environ), "WORK="+work+"\x00")
}

// killFakes kills what a script's fakes have left.
func killFakes(work string) {
	for _, pid := range fakeRuns(filepath.Join(work, "fake.log"), true) {
		if isRunning(pid, work) {
			syscall.Kill(pid, syscall.SIGKILL) // fails only when it has ended meanwhile
		}
	}
}
