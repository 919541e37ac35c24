package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// completionCases are what is typed before the Tab key, and the arguments that the shell passes if
// the line is then run.
var completionCases = []struct{ typed, want string }{
	{"akslogin conv", "[akslogin][convert-kubeconfig]"},
	{"akslogin cache cl", "[akslogin][cache][clear]"},
	{"akslogin get-token --login w", "[akslogin][get-token][--login][workloadidentity]"},
	{"akslogin get-token --login=w", "[akslogin][get-token][--login=workloadidentity]"},
	{"akslogin -l w", "[akslogin][-l][workloadidentity]"},
	{"akslogin get-token --federated-token-f", "[akslogin][get-token][--federated-token-file]"},
	{"akslogin kubeconfig -o airflow-c", "[akslogin][kubeconfig][-o][airflow-connection]"},
	{"akslogin completion po", "[akslogin][completion][powershell]"},
	{"akslogin doctor --context arn:aws:e", "[akslogin][doctor][--context][arn:aws:eks]"},
	{"akslogin doctor --context=arn:aws:e", "[akslogin][doctor][--context=arn:aws:eks]"},
	{"akslogin doctor --context 'my", "[akslogin][doctor][--context][my $(touch pwned) context]"},
	{"akslogin doctor --context my", "[akslogin][doctor][--context][my $(touch pwned) context]"},
	{"akslogin doctor --context=my", "[akslogin][doctor][--context=my $(touch pwned) context]"},
	{"akslogin doctor --kubeconfig oth --context ot", "[akslogin][doctor][--kubeconfig][oth][--context][ot]"},
	{"akslogin doctor --kubeconfig other.yaml --context ot", "[akslogin][doctor][--kubeconfig][other.yaml][--context][other-context]"},
	{"akslogin doctor --kubeconfig oth", "[akslogin][doctor][--kubeconfig][other.yaml]"},
	{"akslogin doctor --kubeconfig=oth", "[akslogin][doctor][--kubeconfig=other.yaml]"},
	{"akslogin install --to fol", "[akslogin][install][--to][folder]"},
	{"akslogin get-token --tenant-id oth", "[akslogin][get-token][--tenant-id][oth]"},
	{"akslogin nonsense --x ", "[akslogin][nonsense][--x]"},
}

// In a shell, interactive in a terminal, the Tab key completes words, also those with characters
// that the shell treats specially.
func TestCompletionInShells(t *testing.T) {
	for _, shell := range []struct {
		name string
		args []string
		rc   string // the commands typed first; %s is the completion script
	}{
		{"bash", []string{"--norc", "--noprofile", "-i"}, "source %s; show() { printf '[%%s]' \"$@\"; echo; }"},
		{"zsh", []string{"-f", "-i"}, "autoload -Uz compinit; compinit -u -D; source %s; show() { printf '[%%s]' \"$@\"; echo; }"},
		{"fish", []string{"--no-config", "-i"}, "source %s; function show; printf '[%%s]' $argv; echo; end"},
	} {
		t.Run(shell.name, func(t *testing.T) {
			path, err := exec.LookPath(shell.name)
			if err != nil {
				skipUnlessRequired(t, shell.name+" is not installed")
			}
			dir := completionFolder(t)
			script, err := filepath.Abs(filepath.Join("completion", "akslogin."+shell.name))
			if err != nil {
				t.Fatal(err)
			}
			input := fmt.Sprintf(shell.rc, script) + "\r"
			for _, c := range completionCases {
				// Control-A moves to the begin of the line: show prints the arguments.
				input += c.typed + "\t\x01show \r"
			}
			cmd := exec.Command(path, shell.args...)
			cmd.Dir = dir
			cmd.Env = []string{
				"PATH=" + filepath.Dir(programPath(t)) + ":" + systemPath, "HOME=" + dir,
				"KUBECONFIG=" + filepath.Join(dir, "config"), "TERM=dumb", "LC_ALL=C.UTF-8",
			}
			out := runInTerminal(t, cmd, input+"exit\r")
			out = strings.ReplaceAll(out, "folder/]", "folder]") // zsh takes the slash away
			for _, c := range completionCases {
				if !strings.Contains(out, "\r\n"+c.want+"\r\n") {
					t.Errorf("%s<Tab>: no %s", c.typed, c.want)
				}
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
			if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
				t.Error("the name of a context was run as a command")
			}
		})
	}
}

// completionFolder returns a folder with kubeconfigs.
func completionFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	context := func(names ...string) (text string) {
		text = "contexts:\n"
		for _, name := range names {
			text += fmt.Sprintf("- {name: %q, context: {cluster: c, user: u}}\n", name)
		}
		return text
	}
	for name, content := range map[string]string{
		"config":     context("arn:aws:eks", "my $(touch pwned) context"),
		"other.yaml": context("other-context"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runInTerminal runs a command in a terminal of its own, types input, and returns what the command
// writes until it ends.
func runInTerminal(t *testing.T, cmd *exec.Cmd, input string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 250})
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	terminal.Close()
	if err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timeout.Stop()
	go func() { _, _ = io.WriteString(master, input) }()
	var out bytes.Buffer
	_, _ = io.Copy(&out, master) // ends with EIO
	if err := cmd.Wait(); err != nil {
		t.Logf("%s: %v", cmd.Path, err)
	}
	return out.String()
}
