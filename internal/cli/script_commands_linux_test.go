package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The programs and commands of scripts that need Linux: see script_test.go.
var (
	linuxPrograms = map[string]func(){
		"chromium-signin": chromiumSignIn,
		"with-imds":       runWithIMDS,
		"with-dns":        runWithDNS,
		"no-keyring":      runWithoutKeyring,
		"no-prctl":        runWithoutPrctl,
	}
	linuxCommands = map[string]scriptCommand{
		"signal":  cmdSignal,
		"tmpfs":   cmdTmpfs,
		"waiters": cmdWaiters,
	}
)

const systemPath = "/usr/bin:/bin"

// cmdSignal stops (SIGSTOP), continues, kills, terminates (SIGTERM) or interrupts the script's
// background processes, or only the first COUNT of them:
// signal stop|continue|kill|terminate|interrupt [COUNT].
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{
		"stop": syscall.SIGSTOP, "continue": syscall.SIGCONT, "kill": syscall.SIGKILL,
		"terminate": syscall.SIGTERM, "interrupt": syscall.SIGINT,
	}
	cmds := ts.BackgroundCmds()
	if len(args) > 1 {
		cmds = cmds[:parseInt(ts, args[1])]
	}
	for _, cmd := range cmds {
		ts.Check(cmd.Process.Signal(signals[args[0]]))
	}
}

// cmdTmpfs mounts a tmpfs, which needs root: tmpfs FOLDER OPTIONS. It is unmounted when the script
// ends.
func cmdTmpfs(ts *testscript.TestScript, neg bool, args []string) {
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(folder, 0o700))
	var out bytes.Buffer
	mount := exec.Command("mount", "-t", "tmpfs", "-o", args[1], "akslogin-test", folder)
	mount.Stdout, mount.Stderr = &out, &out
	if err := mount.Run(); err != nil {
		ts.Fatalf("mount: %v %s", err, out.String())
	}
	ts.Defer(func() { exec.Command("umount", "-l", folder).Run() })
}

// cmdWaiters waits until 19 processes wait for a lock in the script's cache folder: waiters 19, or
// waiters 19+ for 19 or more.
func cmdWaiters(ts *testscript.TestScript, neg bool, args []string) {
	least, orMore := strings.CutSuffix(args[0], "+")
	want := parseInt(ts, least)
	deadline := time.Now().Add(time.Minute)
	for {
		locks, err := filepath.Glob(filepath.Join(ts.Getenv("CACHE"), "*.lock"))
		ts.Check(err)
		table, err := os.ReadFile("/proc/locks")
		ts.Check(err)
		got := 0
		for _, lock := range locks {
			fi, err := os.Stat(lock)
			ts.Check(err)
			inode := fmt.Sprintf(":%d ", fi.Sys().(*syscall.Stat_t).Ino)
			for line := range strings.Lines(string(table)) {
				if strings.Contains(line, "->") && strings.Contains(line, inode) {
					got++
				}
			}
		}
		if got == want || orMore && got > want {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%d processes wait for a lock, want %s\n%s", got, args[0], table)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
