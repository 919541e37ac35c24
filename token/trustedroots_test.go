package token

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Hints about certificates name the place that Go's crypto/x509 reads on the system, and say if it
// is not there.
func TestRootsHintBySystem(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent.pem")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		goos, file string
		hint, note string // parts
	}{
		{"linux", "", "package ca-certificates", ""},
		{"linux", absent, "$SSL_CERT_FILE names, but " + absent + " cannot be read: ",
			"; $SSL_CERT_FILE names the trusted certificates, but " + absent + " cannot be read: "},
		{"freebsd", empty, empty + " has no certificates", empty + " has no certificates"},
		{"windows", "", "certmgr.msc", ""},
		{"windows", absent, "not read on Windows", "; $SSL_CERT_FILE is not read on Windows"},
		{"darwin", absent, "keychain", "; $SSL_CERT_FILE is not read on macOS"},
	} {
		getenv := func(name string) string { return map[string]string{"SSL_CERT_FILE": c.file}[name] }
		if got := rootsHint(c.goos, getenv); !strings.Contains(got, c.hint) {
			t.Errorf("%s, %q: the hint is %q, want %q", c.goos, c.file, got, c.hint)
		}
		got := rootsNote(c.goos, getenv)
		if !strings.Contains(got, c.note) || (got == "") != (c.note == "") {
			t.Errorf("%s, %q: the note is %q, want %q", c.goos, c.file, got, c.note)
		}
	}
}
