package token

import (
	"os"
	"path/filepath"
	"testing"
)

// The file must be the one that crypto/x509 reads: another would make us trust what the system does not.
func TestRootFile(t *testing.T) {
	dir := t.TempDir()
	good, other, absent, pipe := filepath.Join(dir, "good"), filepath.Join(dir, "other"), filepath.Join(dir, "absent"), "/dev/null"
	for _, file := range []string{good, other} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	defer func(files []string) { rootFiles = files }(rootFiles)
	for _, c := range []struct {
		files        []string
		named, debug string
		want         string
	}{
		{files: []string{good, other}, want: good},
		{files: []string{absent, other}, want: other},
		{files: []string{absent, absent}},
		{files: []string{pipe, other}}, // x509 reads it, finds nothing, and looks no further
		{files: []string{dir, other}},  // x509 goes on to the next; so it may, but not here
		{files: []string{filepath.Join(good, "below"), other}},
		{files: []string{good}, named: other, want: other},
		{files: []string{good}, named: absent},
		{files: []string{good}, named: pipe},
		{files: []string{good}, debug: "http2client=0,x509usefallbackroots=1"},
	} {
		rootFiles = c.files
		t.Setenv("SSL_CERT_FILE", c.named)
		t.Setenv("GODEBUG", c.debug)
		if got := rootFile(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
