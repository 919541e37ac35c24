package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
)

// sampleAssertion is a well-formed federated token; a warm run does not verify it.
const sampleAssertion = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0." +
	"eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlLyIsInN1YiI6InMiLCJhdWQiOiJhIiwi" +
	"ZXhwIjoxODkzNTAwMDAwfQ.c2lnbmF0dXJl"

// BenchmarkWarmRun measures a warm run without the start of the process: parse, resolve, open the
// entry, print.
func BenchmarkWarmRun(b *testing.B) {
	dir := b.TempDir()
	federated := filepath.Join(dir, "token")
	if err := os.WriteFile(federated, []byte(sampleAssertion), 0o600); err != nil {
		b.Fatal(err)
	}
	args := []string{
		"get-token", "--login", "workloadidentity",
		"--tenant-id", "contoso.example", "--client-id", "c",
		"--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630",
		"--federated-token-file", federated, "--environment", "AzurePublicCloud",
		"--cache-dir", filepath.Join(dir, "cache"),
	}
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
	args := []string{
		"get-token", "--login", "workloadidentity",
		"--tenant-id", "contoso.example", "--client-id", "c",
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parseCommand(args); err != nil {
			b.Fatal(err)
		}
	}
}

// storeToken stores a token in the cache entry of a command line.
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
	openStore := func(secret []byte, inputs []string) token.Store {
		entry, err := g.Dir().Entry(secret, inputs...)
		if err != nil {
			b.Fatal(err)
		}
		obtained, expires := time.Now(), time.Now().Add(time.Hour)
		data := fmt.Sprintf(`{"token":{"value":%q,"obtained":%q,"expires":%q}}`,
			sampleAssertion, obtained.Format(time.RFC3339Nano), expires.Format(time.RFC3339Nano))
		if err := entry.Put([]byte(data), "token", expires); err != nil {
			b.Fatal(err)
		}
		return entry
	}
	if _, err := token.Get(b.Context(), r, token.Options{Store: openStore}); err != nil {
		b.Fatal(err)
	}
}
