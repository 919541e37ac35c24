package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// versionFlag prints the version that the build recorded and ends the program.
type versionFlag bool

// BeforeReset implements kong's hook for flags that act at once.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	printVersion(app.Stdout)
	app.Exit(0)
	return nil
}

// IsBool tells kong that the flag takes no value.
func (versionFlag) IsBool() bool { return true }

func printVersion(w io.Writer) {
	version, commit := "(unknown)", "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				commit += " (modified)"
			}
		}
	}
	fmt.Fprintf(w, "akslogin %s\ncommit   %s\nbuilt by %s for %s/%s\n",
		version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
