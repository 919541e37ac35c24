package token

import (
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// toolCommand returns the command that runs a command line, in a folder where no other user can
// place programs.
func toolCommand(commandLine string) (*exec.Cmd, error) {
	folder, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("cmd.exe")
	cmd.Dir = folder
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: "/c " + commandLine}
	return cmd, nil
}

// startTool starts a tool in a job object, which also ends when this process ends. kill ends the
// job; release is called when the tool has ended, and leaves alone what it started for later.
func startTool(cmd *exec.Cmd) (kill, release func(), err error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, nil, err
	}
	if err = limitJob(job, windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		windows.CloseHandle(job)
		return nil, nil, err
	}
	inJob := false
	_ = cmd.Process.WithHandle(func(process uintptr) {
		inJob = windows.AssignProcessToJobObject(job, windows.Handle(process)) == nil
	})
	kill = func() {
		if inJob {
			_ = windows.TerminateJobObject(job, 1)
		}
		_ = cmd.Process.Kill()
	}
	release = func() {
		_ = limitJob(job, 0)
		windows.CloseHandle(job)
	}
	return kill, release, nil
}

func limitJob(job windows.Handle, flags uint32) error {
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: flags},
	}
	_, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	return err
}
