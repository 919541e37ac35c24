package cli

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

// The files in testdata/startup list what is in the program and what it initializes at every start.
// A module or a package that comes in through another one costs every run of every client, so a
// change of these lists is to be reviewed. UPDATE=1 go test -run TestStartup ./internal/cli writes
// them.

// packageInit matches a line of GODEBUG=inittrace=1. The clock in it is useless on a busy machine,
// but the number of allocated bytes hardly varies.
var packageInit = regexp.MustCompile(
	`(?m)^init (\S+) @[0-9.]+ ms, [0-9.]+ ms clock, ([0-9]+) bytes, [0-9]+ allocs$`)

// initializedPackages runs a command and returns the packages that were initialized before it
// ended, with the bytes that each allocated.
func initializedPackages(t *testing.T, cmd *exec.Cmd) map[string]int {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = append(cmd.Environ(), "GODEBUG=inittrace=1")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, packageInit.ReplaceAll(stderr.Bytes(), nil))
	}
	packages := map[string]int{}
	for _, m := range packageInit.FindAllStringSubmatch(stderr.String(), -1) {
		size, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		packages[strings.ReplaceAll(m[1], "%2e", ".")] = size
	}
	if len(packages) == 0 {
		t.Fatalf("%v initializes nothing:\n%s", cmd, stderr.String())
	}
	return packages
}

// startupCommands are the runs whose packages are listed, each in testdata/startup/NAME.txt. The
// packages of "warm" are those that are initialized before package warmstart.
var startupCommands = map[string]func(t *testing.T) *exec.Cmd{
	"version": func(t *testing.T) *exec.Cmd {
		cmd := exec.Command(programPath(t), "--version")
		// Whichever package reads a variable first allocates memory for all of them.
		cmd.Env = []string{"HOME=" + t.TempDir()}
		return cmd
	},
	"warm": warmCommand,
}

// warmCommand returns a get-token command whose answer is stored.
func warmCommand(t *testing.T) *exec.Cmd {
	s := entratest.New(t)
	registerFixtures(s)
	home := t.TempDir()
	tokenFile := filepath.Join(home, "token")
	assertion := s.Assertion(entratest.Claims{Subject: subject})
	if err := os.WriteFile(tokenFile, []byte(assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	getToken := func() *exec.Cmd {
		cmd := exec.Command(programPath(t), "get-token", "--login", "workloadidentity",
			"--tenant-id", tenant, "--client-id", client, "--federated-token-file", tokenFile)
		cmd.Env = []string{"HOME=" + home, "HTTPS_PROXY=" + s.ProxyURL, "SSL_CERT_FILE=" + s.CAFile}
		return cmd
	}
	if out, err := getToken().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if s.TokenRequests() != 1 {
			t.Errorf("%d token requests: the run was not warm", s.TokenRequests())
		}
	})
	return getToken()
}

// minReportedBytes is how many bytes a package of the standard library must allocate to be listed.
// The smaller ones come and go with Go's versions.
const minReportedBytes = 1 << 10

func TestStartupPackages(t *testing.T) {
	for name, command := range startupCommands {
		t.Run(name, func(t *testing.T) {
			got := initializedPackages(t, command(t))
			maps.DeleteFunc(got, func(path string, size int) bool {
				return isStandard(path) && size < minReportedBytes
			})
			budgets := readBudgets(t, startupFile(name))
			var lines []string
			for path, size := range got {
				budget, listed := budgets[path]
				if !listed || size > budget<<10 {
					budget = (size+size/4)>>10 + 1 // a quarter is more than the size varies
				}
				lines = append(lines, fmt.Sprintf("%s %d", path, budget))
			}
			for path, budget := range budgets {
				_, initialized := got[path]
				if !initialized && isStandard(path) && os.Getenv("UPDATE") == "" {
					lines = append(lines, fmt.Sprintf("%s %d", path, budget))
				}
			}
			compareWithFile(t, startupFile(name), lines)
		})
	}
}

func startupFile(name string) string { return filepath.Join("testdata", "startup", name+".txt") }

func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && path != "main"
}

// readBudgets returns the packages that a file lists, and the KB that each may allocate at
// initialization.
func readBudgets(t *testing.T, file string) map[string]int {
	t.Helper()
	budgets := map[string]int{}
	raw, err := os.ReadFile(file)
	if err != nil && os.Getenv("UPDATE") == "" {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var path string
		var kb int
		if _, err := fmt.Sscan(line, &path, &kb); err != nil {
			t.Fatalf("%s: %q: %v", file, line, err)
		}
		budgets[path] = kb
	}
	return budgets
}

// compareWithFile fails if the file does not have these lines, sorted. With UPDATE=1 it writes the
// file.
func compareWithFile(t *testing.T, file string, want []string) {
	t.Helper()
	slices.Sort(want)
	raw, err := os.ReadFile(file)
	got := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	switch {
	case err == nil && slices.Equal(got, want):
	case os.Getenv("UPDATE") == "":
		t.Errorf("%s is out of date.\nin the program only: %q\nin the file only: %q\n"+
			"After a review, UPDATE=1 go test -run TestStartup ./internal/cli writes it.",
			file, difference(want, got), difference(got, want))
	default:
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Join(want, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// difference returns the lines that are not among others.
func difference(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return slices.Contains(others, line)
	})
}

// The imports of package warmstart, and of the packages of this module that it imports, are what
// makes it early: Go initializes it when all of these are initialized.
func TestStartupImports(t *testing.T) {
	for system, file := range map[string]string{
		"linux": "imports", "darwin": "imports_darwin", "windows": "imports_windows",
	} {
		t.Run(system, func(t *testing.T) {
			list := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`,
				"./internal/warmstart", "./cache/sealed", "./internal/envvar", "./internal/process")
			list.Dir = repository
			list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
			out, err := list.Output()
			if err != nil {
				t.Fatal(err)
			}
			imports := slices.Sorted(strings.FieldsSeq(string(out)))
			compareWithFile(t, startupFile(file), slices.Compact(imports))
		})
	}
}

// The program's modules, on all systems that it is built for.
func TestStartupModules(t *testing.T) {
	var modules []string
	for _, system := range []string{"linux", "darwin", "windows"} {
		const format = "{{with .Module}}{{.Path}}{{end}}"
		list := exec.Command("go", "list", "-deps", "-f", format, repository)
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, strings.Fields(string(out))...)
	}
	slices.Sort(modules)
	compareWithFile(t, startupFile("modules"), slices.Compact(modules))
}
