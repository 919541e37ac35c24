package token

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// toolConfigDir returns the folder in which a command line tool keeps its sign-in: the one that
// variable names, else defaultName in the home folder. A relative path is an error, because the
// tool runs in another working directory.
func toolConfigDir(opts Options, variable, defaultName string) (string, error) {
	if dir := opts.Getenv(variable); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", usageErrorf("$%s is %q: it must be an absolute path", variable, dir)
		}
		return filepath.Clean(dir), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return defaultName, nil // the tool reports this better
	}
	return filepath.Join(home, defaultName), nil
}

// missingProgram returns a text that says that a tool is not on the PATH, or "" if it is.
func missingProgram(tool string) string {
	if _, err := exec.LookPath(tool); err != nil {
		return tool + " is not on the PATH"
	}
	return ""
}

// maxStateFile is many times the size of a tool's state file, in bytes.
const maxStateFile = 4 << 20

// hashFiles returns a hash of the content or absence of files in dir. A different hash means that
// another account may be signed in. The hash is not secret.
func hashFiles(dir string, files []string) string {
	h := sha256.New()
	for _, name := range files {
		content, err := readRegularFile(filepath.Join(dir, name), maxStateFile)
		if err != nil {
			content = []byte("absent")
		}
		h.Write(binary.BigEndian.AppendUint64([]byte(name), uint64(len(content))))
		h.Write(content)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// toolHintValues returns a Login.HintValues for a tool. It has no authority, because the tool
// chooses where it signs in.
func toolHintValues(tool string) func() map[string]string {
	return func() map[string]string { return map[string]string{"tool": tool, "authority": ""} }
}

// toolCredential gets a token from a tool. Its errors are the tool's own messages.
type toolCredential struct {
	opts  Options
	args  []string // the tool's name first
	parse func(stdout []byte) (azcore.AccessToken, error)
}

// GetToken runs the tool.
func (c toolCredential) GetToken(
	ctx context.Context,
	_ policy.TokenRequestOptions,
) (azcore.AccessToken, error) {
	line, err := commandLine(c.args)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	stdout, err := runTool(ctx, c.opts, line)
	var failed *toolError
	switch {
	case err == nil:
		var result azcore.AccessToken
		if result, err = c.parse(stdout); err == nil {
			return result, nil
		}
	case errors.As(err, &failed):
		return azcore.AccessToken{}, newToolRefusal(failed.message())
	case !errors.Is(err, errToolOutput):
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{}, fmt.Errorf("its output is not a token: %w", err)
}

// toolRefusal is a tool's own message.
type toolRefusal struct {
	text    string
	command string // the command that the message asks the user to run; "" if none
}

func (e *toolRefusal) Error() string { return e.text }

// newToolRefusal splits a message: az ends some with a sentence and lines of commands.
func newToolRefusal(message string) error {
	text, commands, found := strings.Cut(strings.ReplaceAll(message, "\r\n", "\n"), "\naz ")
	if !found {
		return &toolRefusal{text: message}
	}
	if end := strings.LastIndexAny(text, ".\n"); strings.HasSuffix(text, ":") && end > 0 {
		text = strings.TrimRight(text[:end], " .\n")
	}
	return &toolRefusal{text, "az " + strings.ReplaceAll(commands, "\n", " ; ")}
}

// commandLine returns args as a shell's command line. Request.Check has refused characters that a
// shell would interpret.
func commandLine(args []string) (string, error) {
	words := slices.Clone(args)
	for i, arg := range args {
		if !redact.IsPlain(arg, "-_.:/ ") {
			return "", fmt.Errorf("%s cannot be given an argument with special characters", args[0])
		}
		if strings.Contains(arg, " ") {
			words[i] = `"` + arg + `"`
		}
	}
	return strings.Join(words, " "), nil
}

// message returns the tool's message. azd prints lines of JSON, in which old versions have the
// field data.message instead of error.
func (e *toolError) message() string {
	var exit *exec.ExitError
	if errors.As(e.err, &exit) && exit.ExitCode() == 127 || // from /bin/sh, and from cmd.exe:
		strings.Contains(e.stderr, "' is not recognized") {
		return "executable not found on path"
	}
	message := ""
	for line := range strings.Lines(e.stderr) {
		var says struct {
			Error string                   `json:"error"`
			Data  struct{ Message string } `json:"data"`
		}
		if json.Unmarshal([]byte(line), &says) == nil && says.Error != "" {
			message = says.Error
			break
		}
		message = cmp.Or(message, strings.TrimSpace(says.Data.Message))
	}
	message = cmp.Or(message, e.stderr, e.err.Error())
	if _, after, found := strings.Cut(message, "ERROR: "); found { // after az's warnings
		message = after
	}
	return strings.TrimRight(strings.TrimSpace(message), " .")
}
