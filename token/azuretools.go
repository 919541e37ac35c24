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

// toolConfigDir is the folder in which a command line tool keeps who is signed in. A relative one
// is refused: tools are run in another folder.
func toolConfigDir(w Options, variable, otherwise string) (string, error) {
	if dir := w.Getenv(variable); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", usageErrorf("$%s is %q: it must be an absolute path", variable, dir)
		}
		return filepath.Clean(dir), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return otherwise, nil // the tool will know what to say
	}
	return filepath.Join(home, otherwise), nil
}

// maxStateFile is many times the size of what a tool says of who is signed in.
const maxStateFile = 4 << 20

// hashFiles is a hash of a folder's files, or of their absence: another content is another
// identity. Nothing in it is secret.
func hashFiles(home string, files []string) string {
	h := sha256.New()
	for _, name := range files {
		content, err := readRegularFile(filepath.Join(home, name), maxStateFile)
		if err != nil {
			content = []byte("absent")
		}
		h.Write(binary.BigEndian.AppendUint64([]byte(name), uint64(len(content))))
		h.Write(content)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// toolCredential is azidentity's credential of a tool, with the tool's words in the place of
// azidentity's.
type toolCredential struct{ azcore.TokenCredential }

// GetToken runs the tool.
func (c toolCredential) GetToken(
	ctx context.Context,
	o policy.TokenRequestOptions,
) (azcore.AccessToken, error) {
	got, err := c.TokenCredential.GetToken(ctx, o)
	if err == nil {
		return got, nil
	}
	if ctx.Err() != nil {
		return got, ctx.Err()
	}
	name, said, named := strings.Cut(err.Error(), ": ")
	if !named ||
		!strings.HasSuffix(
			name,
			"Credential",
		) { // it ran well, and azidentity could not read what it said
		said = "what it printed is no token: " + err.Error()
	}
	if _, after, found := strings.Cut(said, "ERROR: "); found { // warnings come first
		said = after
	}
	said, _, _ = strings.Cut(said, "To troubleshoot, visit")
	return got, errors.New(strings.TrimRight(strings.TrimSpace(said), " ."))
}
