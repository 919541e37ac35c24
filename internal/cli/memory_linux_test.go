package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

// However much an answer is, or is unpacked, the program as it is shipped needs no more memory than
// a pod gives it. The limit is near what the Go runtime maps at once (64 MiB for the heap, and its
// stacks); who reads all that is sent is ended by the runtime, in many lines.
func TestMemoryLimit(t *testing.T) {
	const limit = "131072" // KiB of data
	program := programPath(t)
	for _, wire := range []string{"bomb", "endless-body", "endless-headers", "endless-header", "early-hints"} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			s := entratest.New(t)
			registerFixtures(s)
			s.SetALPN("http/1.1")
			s.FailNextConn(9, entratest.ConnFaults[wire])
			federated := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(federated, []byte(s.Assertion(entratest.Claims{Subject: subject})), 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			run := exec.Command("sh", "-c", "ulimit -d "+limit+` && exec "$@"`, "sh", program,
				"get-token", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client, "--federated-token-file", federated)
			run.Env = []string{"HOME=" + t.TempDir(), "HTTPS_PROXY=" + s.ProxyURL, "SSL_CERT_FILE=" + s.CAFile}
			run.Stdout, run.Stderr = &stdout, &stderr
			if err := run.Run(); err == nil || stdout.Len() > 0 || strings.Count(stderr.String(), "\n") > 2 || !strings.HasPrefix(stderr.String(), "akslogin: error: ") {
				t.Errorf("%v\n%s\n%.2000s", err, stdout.String(), stderr.String())
			}
		})
	}
}
