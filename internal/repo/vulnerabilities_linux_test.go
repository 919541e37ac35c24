package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// CI's question about known vulnerabilities fails where there are some and where it could not be
// asked, but not where nobody answers.
func TestVulnerabilityScript(t *testing.T) {
	for name, test := range map[string]struct {
		says   string
		status int
		ok     bool
		want   string
	}{
		"none":             {"No vulnerabilities found.", 0, true, "No vulnerabilities found."},
		"some":             {"Vulnerability #1: GO-2026-0001", 3, false, "vulnerabilities were found"},
		"no database":      {`govulncheck: fetching vulnerabilities: Get "https://vuln.go.dev/index/modules.json.gz": dial tcp: no such host`, 1, true, "NOT CHECKED"},
		"it does not load": {"govulncheck: loading packages: there are errors", 1, false, "failed with status 1"},
		"killed":           {"", 137, false, "failed with status 137"},
		"some, and a word": {"govulncheck: fetching vulnerabilities: as a finding says", 3, false, "vulnerabilities were found"},
		"a word within":    {"Vulnerability: fetching vulnerabilities: x", 1, false, "failed with status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := filepath.Join(t.TempDir(), "govulncheck")
			if err := os.WriteFile(fake, fmt.Appendf(nil, "#!/bin/sh\ncat >&2 <<'END'\n%s\nEND\nexit %d\n", test.says, test.status), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(filepath.Join("..", "..", ".ci", "vulnerabilities"))
			cmd.Env = append(os.Environ(), "GOVULNCHECK="+fake)
			out, err := cmd.CombinedOutput()
			if (err == nil) != test.ok || !strings.Contains(string(out), test.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
