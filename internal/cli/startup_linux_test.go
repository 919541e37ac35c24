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

// What is in the program and what it initialises at every start is reviewed: a module or a package
// that comes in by another's back door costs every run of every client. UPDATE=1 go test -run
// TestStartup ./internal/cli writes the lists anew; look at the difference.

// packageInit is a line of GODEBUG=inittrace=1. Its clock says nothing on a busy machine, and the
// number of bytes that were allocated hardly varies.
var packageInit = regexp.MustCompile(`(?m)^init (\S+) @[0-9.]+ ms, [0-9.]+ ms clock, ([0-9]+) bytes, [0-9]+ allocs$`)

// initializedPackages has a command run, and returns the packages that were initialised before it
// ended, with the bytes that this allocated.
func initializedPackages(t *testing.T, cmd *exec.Cmd) map[string]int {
	t.Helper()
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.Env = append(cmd.Environ(), "GODEBUG=inittrace=1")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, packageInit.ReplaceAll(said.Bytes(), nil))
	}
	packages := map[string]int{}
	for _, m := range packageInit.FindAllStringSubmatch(said.String(), -1) {
		size, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		packages[strings.ReplaceAll(m[1], "%2e", ".")] = size
	}
	if len(packages) == 0 {
		t.Fatalf("%v initialises nothing:\n%s", cmd, said.String())
	}
	return packages
}

// startupCommands are the runs whose packages are looked at. Each has a list in testdata/startup.
var startupCommands = map[string]func(t *testing.T) *exec.Cmd{
	"version": func(t *testing.T) *exec.Cmd {
		cmd := exec.Command(programPath(t), "--version")
		cmd.Env = []string{"HOME=" + t.TempDir()} // whoever reads a variable first allocates all of them
		return cmd
	},
	"warm": func(t *testing.T) *exec.Cmd {
		s := entratest.New(t)
		registerFixtures(s)
		home := t.TempDir()
		federated := filepath.Join(home, "token")
		if err := os.WriteFile(federated, []byte(s.Assertion(entratest.Claims{Subject: subject})), 0o600); err != nil {
			t.Fatal(err)
		}
		getToken := func() *exec.Cmd {
			cmd := exec.Command(programPath(t), "get-token", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client, "--federated-token-file", federated)
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
	},
}

// minReportedBytes is how many bytes a package of the standard library has to allocate to be looked
// at: the others come and go with Go's versions.
const minReportedBytes = 1 << 10

func TestStartupPackages(t *testing.T) {
	for name, command := range startupCommands {
		t.Run(name, func(t *testing.T) {
			got := initializedPackages(t, command(t))
			maps.DeleteFunc(got, func(path string, size int) bool { return isStandard(path) && size < minReportedBytes })
			file := filepath.Join("testdata", "startup", name+".txt")
			listed := readBudgets(t, file)
			var lines []string
			for path, size := range got {
				budget, known := listed[path]
				if !known || size > budget<<10 {
					budget = (size+size/4)>>10 + 1 // a quarter is more than chance has
				}
				lines = append(lines, fmt.Sprintf("%s %d", path, budget))
			}
			for path, budget := range listed {
				if _, there := got[path]; !there && isStandard(path) && os.Getenv("UPDATE") == "" {
					lines = append(lines, fmt.Sprintf("%s %d", path, budget))
				}
			}
			compareList(t, file, lines)
		})
	}
}

func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && path != "main"
}

// readBudgets are the packages that a list has, and the KB that their initialisation may allocate.
func readBudgets(t *testing.T, file string) map[string]int {
	t.Helper()
	listed := map[string]int{}
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
		listed[path] = kb
	}
	return listed
}

// compareList fails where a file does not have these lines, sorted, or writes it.
func compareList(t *testing.T, file string, want []string) {
	t.Helper()
	slices.Sort(want)
	raw, err := os.ReadFile(file)
	got := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	switch {
	case err == nil && slices.Equal(got, want):
	case os.Getenv("UPDATE") == "":
		t.Errorf("%s is not what the program has. If that is as it should be, UPDATE=1 go test -run TestStartup ./internal/cli writes it\nin the program only: %q\nin the list only: %q", file, without(want, got), without(got, want))
	default:
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Join(want, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func without(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(others, line) })
}

// The program's modules, on all systems that it is built for.
func TestStartupModules(t *testing.T) {
	var modules []string
	for _, system := range []string{"linux", "darwin", "windows"} {
		list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", repository)
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, strings.Fields(string(out))...)
	}
	slices.Sort(modules)
	compareList(t, filepath.Join("testdata", "startup", "modules.txt"), slices.Compact(modules))
}
