package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scriptCondition matches a line of a script that ends it where it does not run on Linux itself.
var scriptCondition = regexp.MustCompile(`(?m)^\[!native\] (skip|stop) '(.*)'$`)

const platformsIntro = `# Tests by platform

| platform | how | tests |
|---|---|---|
| linux/amd64 | ` + "`make test`" + ` | all |
| linux/arm64 | ` + "`make test-arm64`" + `, under qemu-user-static | unit tests of every package, and scripts |
| windows/amd64 | ` + "`make test-windows`" + `, under wine | unit tests of every package, and scripts |
| other platforms of releases | ` + "`make cross`" + ` | none here: built and vetted |
| macOS and Windows themselves | the workflow in ` + "`.github`" + ` | all but those for Linux |
| BSDs, Solaris, illumos, AIX | ` + "`make cross`" + ` builds for Solaris | not supported, and not released. Without flock, as on Solaris and AIX, each process makes its own exchange |

Wine does not serialize as Windows does, has no links and no access lists, and finds other words for
errors: it shows that the program runs, not that Windows agrees.

` + "`UPDATE=1 go test -run TestPlatforms ./internal/repo`" + ` rewrites the lists below.
`

// docs/platforms.md lists what is not run on each platform, and why.
func TestPlatforms(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(platformsIntro)
	writeScripts(t, &b)
	writeSystemTests(t, &b)
	path := filepath.Join(repository, "docs", "platforms.md")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content, b.Bytes()) {
		t.Error("docs/platforms.md is out of date; UPDATE=1 go test -run TestPlatforms " +
			"./internal/repo rewrites it")
	}
}

func writeScripts(t *testing.T, b *bytes.Buffer) {
	scripts, err := filepath.Glob(
		filepath.Join(repository, "internal", "cli", "testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var whole, rows []string
	for _, script := range scripts {
		content, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(script), ".txtar")
		if m := scriptCondition.FindSubmatch(content); m != nil {
			part := map[string]string{"skip": "no", "stop": "its first part"}[string(m[1])]
			rows = append(rows, fmt.Sprintf("| %s | %s | %s |\n", name, part, m[2]))
		} else if bytes.Contains(content, []byte("\n[native] ")) {
			rows = append(rows, fmt.Sprintf("| %s | most lines | needs a POSIX tool |\n", name))
		} else {
			whole = append(whole, name)
		}
	}
	fmt.Fprintf(b, "\n## Scripts\n\nOf %d scripts, %d run whole under qemu and wine:\n\n",
		len(scripts), len(whole))
	for _, name := range whole {
		fmt.Fprintf(b, "- %s\n", name)
	}
	b.WriteString("\nThe others:\n\n| script | runs | reason |\n|---|---|---|\n")
	b.WriteString(strings.Join(rows, ""))
}

// writeSystemTests lists the files whose names or build constraints keep their tests to a system.
func writeSystemTests(t *testing.T, b *bytes.Buffer) {
	b.WriteString("\n## Go tests of one system only\n\n" +
		"These run under qemu too, apart from the scripts' package, internal/cli.\n\n" +
		"| package | files |\n|---|---|\n")
	files := map[string][]string{}
	for _, p := range packages(t) {
		for _, pattern := range []string{"*_linux_test.go", "*_linux_amd64_test.go", "*_unix_test.go"} {
			found, err := filepath.Glob(filepath.Join(repository, p.path(), pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range found {
				files[p.path()] = append(files[p.path()], filepath.Base(file))
			}
		}
	}
	for _, p := range packages(t) {
		if names := files[p.path()]; names != nil {
			slices.Sort(names)
			fmt.Fprintf(b, "| %s | %s |\n", p.path(), strings.Join(names, ", "))
		}
	}
}
