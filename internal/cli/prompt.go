package cli

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/token"
)

// promptWriter returns where a person is asked to sign in, nil if nobody is there. mode is the
// value of --prompt. interactive is what the client says about standard input, nil if it says
// nothing: that a plugin has no standard input does not mean that nobody is there, because signing
// in takes a browser and no terminal.
func promptWriter(mode string, interactive *bool) io.Writer {
	somebody := interactive != nil && *interactive || term.IsTerminal(int(os.Stderr.Fd())) ||
		!inCI() && hasDisplay()
	if mode == token.PromptAlways || mode != token.PromptNever && somebody {
		return os.Stderr
	}
	return nil
}

// inCI reports whether this is a CI job, where nobody watches a display.
func inCI() bool { return envvar.Get("CI") != "" || envvar.Get("TF_BUILD") != "" }
