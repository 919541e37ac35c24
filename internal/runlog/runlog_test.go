package runlog

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLargeFileIsRenamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	large := make([]byte, maxFileSize+1)
	if err := os.WriteFile(path, large, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := AppendFile(path, []byte("line\n")); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != "line\nline\n" {
		t.Errorf("%d bytes, %v", len(now), err)
	}
	if old, err := os.ReadFile(path + ".1"); err != nil || len(old) != len(large) {
		t.Errorf("%d bytes, %v", len(old), err)
	}
}
