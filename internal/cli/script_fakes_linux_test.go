package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// isRunning reports whether a process is running and belongs to the script with that work folder.
func isRunning(pid int, work string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains(string(environ), "WORK="+work+"\x00")
}

// killFakes kills the fakes of a script, and their children, that are still running.
func killFakes(work string) {
	for _, pid := range fakeRuns(filepath.Join(work, "fake.log"), true) {
		if isRunning(pid, work) {
			syscall.Kill(pid, syscall.SIGKILL) // fails only if the process has just ended
		}
	}
}
