package cli

import (
	"encoding/json"
	"fmt"

	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A fake is the Azure CLI or the Azure Developer CLI as akslogin sees it: its command line, its
// output, and the files that hold its sign-in. It signs in to the emulator, with a password where
// the real one would open a browser.
//
// Variables set how it behaves:
//
//	FAKE_LOG             a file to which each run appends its command line and process ID
//	FAKE_WAIT            each run waits until this file exists, at most two minutes
//	FAKE_WARN            a warning to print on standard error first
//	FAKE_OUTPUT          a file whose content is printed instead of the output
//	FAKE_FLOOD           stdout or stderr: print to it without end
//	FAKE_ERROR           an error with which each run ends, status 1; \n in it ends a line
//	FAKE_IGNORE_SIGTERM  if set, ignore SIGTERM, and while the run waits keep the outputs open in
//	                     a child process that ignores it too
//	FAKE_OLD             if set, print what versions without expires_on print: local time only
type fake struct {
	name string
	run  func(args []string) error
}

func (f fake) main() {
	os.Exit(f.exit(os.Args[1:]))
}

// exit runs the program and returns its exit status.
func (f fake) exit(args []string) int {
	f.log("%s %s %d", f.name, strings.Join(args, " "), os.Getpid())
	if os.Getenv("FAKE_IGNORE_SIGTERM") != "" {
		signal.Ignore(syscall.SIGTERM)
		if err := f.startHangingChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if warning := os.Getenv("FAKE_WARN"); warning != "" {
		fmt.Fprintln(os.Stderr, "WARNING: "+warning)
	}
	if file := os.Getenv("FAKE_WAIT"); file != "" {
		waitForFile(file, 2*time.Minute)
	}
	if name := os.Getenv("FAKE_FLOOD"); name != "" {
		flooded := map[string]*os.File{"stdout": os.Stdout, "stderr": os.Stderr}[name]
		signal.Ignore(syscall.SIGPIPE)
		for { // also when nobody reads
			fmt.Fprintln(flooded, strings.Repeat("ERROR: flooded. ", 1000))
		}
	}
	if text := os.Getenv("FAKE_ERROR"); text != "" {
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(text, `\n`, "\n"))
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

// startHangingChild starts a child process that ignores SIGTERM, has the same outputs, and ends
// when $FAKE_WAIT exists, or after two minutes.
func (f fake) startHangingChild() error {
	child := exec.Command("/bin/sh", "-c", `trap "" TERM; i=0
		while [ ! -e "$FAKE_WAIT" ] && [ $i -lt 1200 ]; do sleep 0.1; i=$((i+1)); done`)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return err
	}
	f.log("child of %s %d", f.name, child.Process.Pid)
	return nil
}

func waitForFile(path string, atMost time.Duration) {
	for deadline := time.Now().Add(atMost); time.Now().Before(deadline); {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// log appends a line to $FAKE_LOG, if that is set.
func (f fake) log(format string, args ...any) {
	if path := os.Getenv("FAKE_LOG"); path != "" {
		appendLine(path, fmt.Sprintf(format, args...))
	}
}

func appendLine(path, line string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(70)
	}
	defer f.Close()
	f.WriteString(line + "\n") // a single write, so that parallel runs do not mix
}

// cliErrorf returns an error in the CLIs' style, which is not Go's: the text begins with a capital
// and ends with a full stop.
func cliErrorf(format string, args ...any) error { return cliError(fmt.Sprintf(format, args...)) }

type cliError string

func (e cliError) Error() string { return string(e) }

// splitArguments separates words from flags. short maps short flags to their long names; switches
// are the flags without a value, whose value is "".
func splitArguments(
	args []string, short map[string]string, switches ...string,
) (words []string, flags map[string]string, err error) {
	flags = map[string]string{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if !strings.HasPrefix(arg, "-") {
			words = append(words, arg)
			continue
		}
		name, value, hasValue := strings.Cut(arg, "=")
		if long := short[name]; long != "" {
			name = long
		}
		switch {
		case hasValue:
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

// configFolder creates and returns the folder of a CLI's files: the value of the variable, or the
// default name in the home folder.
func configFolder(variable, defaultName string) (string, error) {
	folder := os.Getenv(variable)
	if folder == "" {
		folder = filepath.Join(os.Getenv("HOME"), defaultName)
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
