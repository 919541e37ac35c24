//go:build unix

package token

import (
	"os/exec"
	"syscall"
)

// toolCommand returns the command that runs a command line, in a folder where no other user can
// place programs.
func toolCommand(commandLine string) (*exec.Cmd, error) {
	cmd := exec.Command("/bin/sh", "-c", commandLine)
	cmd.Dir = "/bin"
	return cmd, nil
}

// startTool starts a tool in a process group of its own. kill ends the group; release is called
// when the tool has ended.
func startTool(cmd *exec.Cmd) (kill, release func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	kill = func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return kill, func() {}, nil
}
