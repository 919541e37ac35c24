// Launch runs a program and writes on descriptor 3 how much memory it had at its peak, in KiB. Linux counts what the starting process
// had as the started one's, so that must be small.
package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	p, err := os.StartProcess(os.Args[1], os.Args[1:], &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		panic(err)
	}
	state, err := p.Wait()
	if err != nil {
		panic(err)
	}
	fmt.Fprint(os.NewFile(3, "result"), state.SysUsage().(*syscall.Rusage).Maxrss)
	os.Exit(state.ExitCode())
}
