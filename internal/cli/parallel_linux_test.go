package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
)

// runParallel runs a command as many times at once as is asked for, and prints what each wrote, one
// after the other: at-once 100 akslogin ... It fails if one of them does. They have more patience
// than elsewhere: how long a hundred take says how busy the machine is.
func runParallel() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	type output struct{ stdout, stderr bytes.Buffer }
	runs, failed := make([]output, n), make([]error, n)
	var all sync.WaitGroup
	for i := range runs {
		all.Go(func() {
			cmd := exec.Command(os.Args[2], os.Args[3:]...)
			cmd.Env = append(os.Environ(), "PATIENCE=5m", "QUEUE=10m", "AZURE_CLI_TIMEOUT=30m")
			cmd.Stdout, cmd.Stderr = &runs[i].stdout, &runs[i].stderr
			failed[i] = cmd.Run()
		})
	}
	all.Wait()
	for i := range runs {
		os.Stdout.Write(runs[i].stdout.Bytes())
		os.Stderr.Write(runs[i].stderr.Bytes())
	}
	if slices.ContainsFunc(failed, func(err error) bool { return err != nil }) {
		os.Exit(1)
	}
}
