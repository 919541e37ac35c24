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

// runParallel runs a command N times in parallel, and prints the outputs one after another:
// parallel N COMMAND [ARGUMENT...]. It fails if one of the runs fails.
//
// The runs get long timeouts, since a hundred of them may take long on a busy machine.
func runParallel() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	type output struct{ stdout, stderr bytes.Buffer }
	outputs, errs := make([]output, n), make([]error, n)
	var group sync.WaitGroup
	for i := range outputs {
		group.Go(func() {
			cmd := exec.Command(os.Args[2], os.Args[3:]...)
			cmd.Env = append(os.Environ(),
				"HOLDER_TIMEOUT=5m", "MAX_LOCK_WAIT=10m", "AZURE_CLI_TIMEOUT=30m")
			cmd.Stdout, cmd.Stderr = &outputs[i].stdout, &outputs[i].stderr
			errs[i] = cmd.Run()
		})
	}
	group.Wait()
	for i := range outputs {
		os.Stdout.Write(outputs[i].stdout.Bytes())
		os.Stderr.Write(outputs[i].stderr.Bytes())
	}
	if slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		os.Exit(1)
	}
}
