package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// version is the released version. A release sets it at link time:
//
//	go build -ldflags '-X github.com/akslogin/akslogin/internal/cli.version=v1.2.3'
var version string

// versionFlag prints the version and ends the program.
type versionFlag bool

// BeforeReset implements kong's hook for flags that act at once.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	if err := currentBuild().writeText(app.Stdout); err != nil {
		return err
	}
	app.Exit(0)
	return nil
}

// IsBool tells kong that the flag takes no value.
func (versionFlag) IsBool() bool { return true }

type versionCommand struct {
	Output string `name:"output" short:"o" group:"general" placeholder:"text|json" otherwise:"text" help:"Text, or JSON."`
}

func (c *versionCommand) Run() error {
	if err := checkTextOrJSON(&c.Output); err != nil {
		return err
	}
	if c.Output == "text" {
		return currentBuild().writeText(os.Stdout)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(currentBuild())
}

// build says what this program was built from.
type build struct {
	Version  string `json:"version"`            // the released one, or a commit, or "devel"
	Commit   string `json:"commit,omitempty"`   // "" if the build recorded none
	Modified bool   `json:"modified,omitempty"` // the sources differed from Commit
	Go       string `json:"goVersion"`
	Platform string `json:"platform"`
}

func currentBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return newBuild(version, info)
}

// newBuild returns the build of a program with this link-time version, "" for none. Without one the
// version is that of the module: go install records the version that it was asked for, and a build
// in a Git checkout records the tag or a pseudo-version.
func newBuild(linked string, info *debug.BuildInfo) build {
	b := build{Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	module := info.Main.Version
	if module == "(devel)" {
		module = ""
	}
	b.Version = cmp.Or(linked, module, b.Commit, "devel")
	return b
}

// writeText leaves out the line of a commit that the build did not record.
func (b build) writeText(w io.Writer) error {
	text := "akslogin " + b.Version + "\n"
	if b.Commit != "" {
		text += "commit   " + b.Commit
		if b.Modified {
			text += " (modified)"
		}
		text += "\n"
	}
	_, err := fmt.Fprintf(w, "%sbuilt by %s for %s\n", text, b.Go, b.Platform)
	return err
}
