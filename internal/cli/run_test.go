package cli

import (
	"io"
	"log"
	"os"
	"testing"
)

// net/http logs unexpected responses to the standard logger, with the token in them.
func TestStandardLoggerIsSilent(t *testing.T) {
	log.SetOutput(os.Stderr)
	run([]string{"cache", "path"}, options{})
	if log.Writer() != io.Discard {
		t.Error("the standard logger is not discarded")
	}
}
