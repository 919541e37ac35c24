// Launch runs a program and writes on descriptor 3 how much memory it had at its peak, in KiB, and
// how many pages it was given without reading a disk. Linux counts what the starting process had as
// the started one's, so that must be small.
package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	p, err := os.StartProcess(
		os.Args[1],
		os.Args[1:],
		&os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}},
	)
	if err != nil {
		panic(err)
	}
	state, err := p.Wait()
	if err != nil {
		panic(err)
	}
	usage := state.SysUsage().(*syscall.Rusage)
	fmt.Fprintln(os.NewFile(3, "result"), usage.Maxrss, usage.Minflt)
	os.Exit(state.ExitCode())
}
