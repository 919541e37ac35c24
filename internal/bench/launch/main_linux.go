// Launch runs a program and writes two numbers to file descriptor 3: the program's peak memory in
// KiB, and its minor page faults, those served without reading a disk.
//
// Linux counts the memory of the process that starts another one as the other one's until exec. So
// the starting process must be small, and bench does not start the program itself.
package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	process, err := os.StartProcess(os.Args[1], os.Args[1:], &os.ProcAttr{Files: files})
	if err != nil {
		panic(err)
	}
	state, err := process.Wait()
	if err != nil {
		panic(err)
	}
	usage := state.SysUsage().(*syscall.Rusage)
	fmt.Fprintln(os.NewFile(3, "result"), usage.Maxrss, usage.Minflt)
	os.Exit(state.ExitCode())
}
