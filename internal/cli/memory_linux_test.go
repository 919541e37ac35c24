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

// TestMemoryLimit checks that the program, as it is shipped, stays within the memory of a pod,
// however large a response is, compressed or not. The limit is near what the Go runtime maps at
// once: 64 MiB for the heap, and its stacks. A program that read a whole response would be ended by
// the runtime, with a long stack trace.
func TestMemoryLimit(t *testing.T) {
	skipIfShort(t, "runs under a memory limit")
	const limit = "131072" // KiB of data segment
	program := programPath(t)
	for _, fault := range []string{
		"bomb", "endless-body", "endless-headers", "endless-header", "early-hints",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s := entratest.New(t)
			registerFixtures(s)
			s.SetALPN("http/1.1")
			s.FailNextConn(9, entratest.ConnFaults[fault])
			federated := filepath.Join(t.TempDir(), "token")
			assertion := s.Assertion(entratest.Claims{Subject: subject})
			if err := os.WriteFile(federated, []byte(assertion), 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			run := exec.Command("sh", "-c", "ulimit -d "+limit+` && exec "$@"`, "sh",
				program, "get-token", "--login", "workloadidentity",
				"--tenant-id", tenant, "--client-id", client, "--federated-token-file", federated)
			run.Env = []string{
				"HOME=" + t.TempDir(), "HTTPS_PROXY=" + s.ProxyURL, "SSL_CERT_FILE=" + s.CAFile,
			}
			run.Stdout, run.Stderr = &stdout, &stderr
			err := run.Run()
			lines := strings.Count(stderr.String(), "\n")
			isError := strings.HasPrefix(stderr.String(), "akslogin: error: ")
			if err == nil || stdout.Len() > 0 || lines > 2 || !isError {
				t.Errorf("%v\n%s\n%.2000s", err, stdout.String(), stderr.String())
			}
		})
	}
}
