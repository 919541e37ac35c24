package token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// maxToolOutput is the largest output of a tool in bytes, like that of a response from Entra ID.
const maxToolOutput = 1 << 20

var errToolOutput = fmt.Errorf("more than %d bytes", maxToolOutput)

// toolOutput collects a tool's output up to maxToolOutput, and calls full if there is more.
type toolOutput struct {
	buf  bytes.Buffer
	full func()
}

func (o *toolOutput) Write(p []byte) (int, error) {
	if o.buf.Len()+len(p) > maxToolOutput {
		o.full()
		return 0, errToolOutput
	}
	return o.buf.Write(p)
}

// toolError says how a tool failed.
type toolError struct {
	stderr string
	err    error
}

func (e *toolError) Error() string { return e.err.Error() }

// runTool runs a command line and returns its standard output. A *toolError says that the tool
// failed, errToolOutput that its output is too long. When ctx ends, and if the output is too long,
// the tool ends too, with all programs that it started.
func runTool(ctx context.Context, opts Options, commandLine string) (stdout []byte, err error) {
	cmd, err := toolCommand(commandLine)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tooLong := func() { cancel(errToolOutput) }
	out, messages := toolOutput{full: tooLong}, toolOutput{full: tooLong}
	cmd.Env, cmd.Stdout, cmd.Stderr = os.Environ(), &out, &messages
	// Processes that the tool leaves in the background may keep the outputs open.
	cmd.WaitDelay = 100 * time.Millisecond
	kill, release, err := startTool(cmd)
	if err != nil {
		return nil, err
	}
	defer release()
	defer opts.ToolStarted(kill)()
	defer context.AfterFunc(ctx, kill)()
	switch err := cmd.Wait(); {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && out.buf.Len() > 0:
		return out.buf.Bytes(), nil
	default:
		return nil, &toolError{strings.TrimSpace(messages.buf.String()), err}
	}
}
