package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The Azure CLI and the Azure Developer CLI as azidentity meets them: their command lines, what
// they print, and the files in which they keep who is signed in. They sign in at the emulator, with
// passwords where the real ones would open a browser.
//
// A script sets how they behave by variables:
//
//	FAKE_LOG     a file to which each run adds its command line and its process ID
//	FAKE_WAIT    each run waits until that file exists, half a minute at most
//	FAKE_WARN    what is printed on standard error before anything else
//	FAKE_OUTPUT  a file whose content is printed in place of the answer
//	FAKE_ERROR   the error with which a run ends, status 1
//	FAKE_DEAF    set: SIGTERM is ignored, and a child that ignores it too keeps the outputs open while the run waits
//	FAKE_OLD     set: answers are those of versions before expires_on, local time only
type fake struct {
	name string
	run  func(args []string) error
}

func (f fake) main() {
	os.Exit(f.exit(os.Args[1:]))
}

func (f fake) exit(args []string) int {
	if file := os.Getenv("FAKE_LOG"); file != "" {
		f.log(file, args)
	}
	if os.Getenv("FAKE_DEAF") != "" {
		signal.Ignore(syscall.SIGTERM)
		child := exec.Command("/bin/sh", "-c", `trap "" TERM; i=0; while [ ! -e "$FAKE_WAIT" ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done`)
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if file := os.Getenv("FAKE_LOG"); file != "" {
			appendLine(file, fmt.Sprintf("child of %s %d", f.name, child.Process.Pid))
		}
	}
	if warning := os.Getenv("FAKE_WARN"); warning != "" {
		fmt.Fprintln(os.Stderr, "WARNING: "+warning)
	}
	if file := os.Getenv("FAKE_WAIT"); file != "" {
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(file); err == nil {
				break
			}
		}
	}
	if text := os.Getenv("FAKE_ERROR"); text != "" {
		fmt.Fprintln(os.Stderr, text)
		return 1
	}
	if file := os.Getenv("FAKE_OUTPUT"); file != "" {
		content, err := os.ReadFile(file)
		os.Stdout.Write(content)
		if err == nil {
			return 0
		}
	}
	if err := f.run(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (f fake) log(file string, args []string) {
	appendLine(file, fmt.Sprintf("%s %s %d", f.name, strings.Join(args, " "), os.Getpid()))
}

func appendLine(file, line string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(70)
	}
	defer f.Close()
	io.WriteString(f, line+"\n") // one write, so that runs at once do not mix
}

// cliErrorf is an error in the words of the CLIs, which are not Go's: they begin with capitals and
// end with full stops.
func cliErrorf(format string, args ...any) error { return cliError(fmt.Sprintf(format, args...)) }

type cliError string

func (e cliError) Error() string { return string(e) }

// splitArguments splits words and flags; short flags are given with their long names, and flags
// that take no value with "".
func splitArguments(args []string, short map[string]string, switches ...string) (words []string, flags map[string]string, err error) {
	flags = map[string]string{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if !strings.HasPrefix(arg, "-") {
			words = append(words, arg)
			continue
		}
		name, value, glued := strings.Cut(arg, "=")
		if long := short[name]; long != "" {
			name = long
		}
		switch {
		case glued:
		case slices.Contains(switches, name):
		case len(args) == 0:
			return nil, nil, cliErrorf("ERROR: argument %s: expected one argument", arg)
		default:
			value, args = args[0], args[1:]
		}
		flags[name] = value
	}
	return words, flags, nil
}

// configFolder is the folder of a CLI's files, made when it is not there.
func configFolder(variable, below string) (string, error) {
	folder := os.Getenv(variable)
	if folder == "" {
		folder = filepath.Join(os.Getenv("HOME"), below)
	}
	return folder, os.MkdirAll(folder, 0o700)
}

const byteOrderMark = "\ufeff"

func printJSON(v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(raw, '\n'))
	return err
}

func writeJSONFile(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}
