package token

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
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

// toolCredential is azidentity's credential for a tool. Its errors are the tool's own messages,
// without azidentity's text around them.
type toolCredential struct{ azcore.TokenCredential }

// GetToken runs the tool.
func (c toolCredential) GetToken(
	ctx context.Context,
	o policy.TokenRequestOptions,
) (azcore.AccessToken, error) {
	result, err := c.TokenCredential.GetToken(ctx, o)
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	name, message, prefixed := strings.Cut(err.Error(), ": ")
	if !prefixed || !strings.HasSuffix(name, "Credential") {
		// The tool succeeded, and azidentity could not read its output.
		message = "what it printed is no token: " + err.Error()
	}
	if _, after, found := strings.Cut(message, "ERROR: "); found { // after az's warnings
		message = after
	}
	message, _, _ = strings.Cut(message, "To troubleshoot, visit")
	return result, errors.New(strings.TrimRight(strings.TrimSpace(message), " ."))
}
