package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
)

// A federated token of the right shape; nobody verifies it in a warm run.
const sampleAssertion = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlLyIsInN1YiI6InMiLCJhdWQiOiJhIiwiZXhwIjoxODkzNTAwMDAwfQ.c2lnbmF0dXJl"

// BenchmarkWarmRun is a whole warm run within the process, but for its start: parse, resolve, open
// the entry, print.
func BenchmarkWarmRun(b *testing.B) {
	dir := b.TempDir()
	federated := filepath.Join(dir, "token")
	if err := os.WriteFile(federated, []byte(sampleAssertion), 0o600); err != nil {
		b.Fatal(err)
	}
	args := []string{"get-token", "--login", "workloadidentity", "--tenant-id", "contoso.example", "--client-id", "c", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630",
		"--federated-token-file", federated, "--environment", "AzurePublicCloud", "--cache-dir", filepath.Join(dir, "cache")}
	storeToken(b, args)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = null
	defer func() { os.Stdout = stdout }()
	b.ReportAllocs()
	for b.Loop() {
		if exit := run(args, options{}); exit != 0 {
			b.Fatal(exit)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parseCommand([]string{"get-token", "--login", "workloadidentity", "--tenant-id", "contoso.example", "--client-id", "c"}); err != nil {
			b.Fatal(err)
		}
	}
}

// storeToken stores a token where the command line will look for it.
func storeToken(b *testing.B, args []string) {
	b.Helper()
	line, g, err := flags.ParseGetToken(args)
	if err != nil {
		b.Fatal(err)
	}
	r, err := g.Resolve(line.Explicit, os.Getenv)
	if err != nil {
		b.Fatal(err)
	}
	keep := func(secret []byte, inputs []string) token.Store {
		entry, err := g.Dir().Entry(secret, inputs...)
		if err != nil {
			b.Fatal(err)
		}
		data := `{"token":{"value":"` + sampleAssertion + `","obtained":"` + time.Now().Format(time.RFC3339Nano) + `","expires":"` + time.Now().Add(time.Hour).Format(time.RFC3339Nano) + `"}}`
		if err := entry.Put([]byte(data), "token", time.Now().Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
		return entry
	}
	if _, err := token.Get(b.Context(), r, token.Options{Store: keep}); err != nil {
		b.Fatal(err)
	}
}
