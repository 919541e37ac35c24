package cli

import (
	"io"
	"log"
	"os"
	"testing"
)

// The standard logger would print what net/http finds odd in an answer, token and all.
func TestStandardLoggerIsSilent(t *testing.T) {
	log.SetOutput(os.Stderr)
	run([]string{"cache", "path"}, options{})
	if log.Writer() != io.Discard {
		t.Error("the standard logger is on")
	}
}
