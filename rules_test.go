package main

import (
	"regexp"

	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/akslogin/akslogin/kube"
	"github.com/akslogin/akslogin/memo"
	"github.com/akslogin/akslogin/token"
)

type goPackage struct {
	ImportPath, Doc, Name string
	Imports               []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Name,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

const module = "github.com/akslogin/akslogin"

// Imports form a star, so that cycles cannot arise: main knows token, cache and kube, and these know nothing of ours.
func TestImportsFormAStar(t *testing.T) {
	allowed := map[string][]string{
		module:                     {module + "/cache", module + "/internal/process", module + "/kube", module + "/memo", module + "/token"},
		module + "/cache":          {module + "/cache/sealed"},
		module + "/memo":           {module + "/cache/sealed", module + "/internal/process"},
		module + "/internal/demo":  {module + "/internal/entratest"},
		module + "/internal/bench": {module + "/internal/entratest", module + "/internal/incumbent"},
	}
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, module) && !slices.Contains(allowed[p.ImportPath], imported) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
			if strings.HasSuffix(p.ImportPath, "/cache") && (strings.Contains(imported, "Azure") || strings.Contains(imported, "k8s.io")) {
				t.Errorf("cache imports %s: it knows bytes, not tokens", imported)
			}
		}
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range packages(t) {
		if !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") && p.Name != "main" || p.Doc == "" {
			t.Errorf("%s: %q", p.ImportPath, p.Doc)
		}
	}
}

func model(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := newParser(&grammar{})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

func getTokenFlags(t *testing.T) map[string]*kong.Flag {
	t.Helper()
	flags := map[string]*kong.Flag{}
	for _, command := range model(t).Leaves(false) {
		if command.Name != "get-token" {
			continue
		}
		for _, group := range command.AllFlags(false) {
			for _, f := range group {
				for _, name := range append(f.Aliases, f.Name) {
					flags[name] = f
				}
			}
		}
	}
	return flags
}

// kubelogin 0.2.21's get-token --help, its hidden flag included: name and short form.
var incumbentFlags = map[string]string{
	"authority-host": "", "azure-pipelines-service-connection-id": "", "cache-dir": "", "client-certificate": "", "client-certificate-password": "",
	"client-id": "", "client-secret": "", "disable-environment-override": "", "disable-instance-discovery": "", "environment": "e",
	"federated-token-file": "", "help": "h", "identity-resource-id": "", "legacy": "", "login": "l", "login-hint": "", "password": "",
	"pop-claims": "", "pop-enabled": "", "redirect-url": "", "server-id": "", "subscription": "s", "tenant-id": "t", "timeout": "",
	"use-azurerm-env-vars": "", "username": "", "token-cache-dir": "", "logtostderr": "", "v": "v",
}

func TestEveryIncumbentFlagIsKnown(t *testing.T) {
	flags := getTokenFlags(t)
	for name, short := range incumbentFlags {
		f := flags[name]
		if f == nil {
			t.Errorf("no flag --%s", name)
		} else if short != "" && string(f.Short) != short {
			t.Errorf("--%s has the short form %q, want %q", name, f.Short, short)
		}
	}
}

// README's tables are the program's: of flags the grammar's, of login methods the list's. UPDATE=1 writes them anew.
func TestReadmeTables(t *testing.T) {
	var flagRows strings.Builder
	flagRows.WriteString("| flag | variables | default |\n|---|---|---|\n")
	for _, command := range model(t).Leaves(false) {
		if command.Name != "get-token" {
			continue
		}
		for _, f := range command.Flags {
			if f.Hidden {
				continue
			}
			name := "`--" + f.Name + "`"
			if f.Short != 0 {
				name += ", `-" + string(f.Short) + "`"
			}
			var variables []string
			for _, v := range token.Variables(f.Tag.Get) {
				mark := map[bool]string{true: "**!**"}[v.Overrides]
				variables = append(variables, "`"+v.Name+"`"+mark)
			}
			fmt.Fprintf(&flagRows, "| %s | %s | %s |\n", name, strings.Join(variables, " "), f.Tag.Get("otherwise"))
		}
	}
	rest := readmeTable(t, "flags", flagRows.String())
	for _, v := range otherVariables {
		for _, name := range v.Names {
			if !strings.Contains(rest, "`"+name+"`") {
				t.Errorf("README.md does not name $%s", name)
			}
		}
	}

	var methods strings.Builder
	methods.WriteString("| `--login` | who logs in, and how | needs | cached, and sealed with |\n|---|---|---|---|\n")
	for _, m := range token.Methods {
		var needs []string
		for _, need := range m.Needs {
			needs = append(needs, "`--"+strings.ReplaceAll(need, "|", "` or `--")+"`")
		}
		fmt.Fprintf(&methods, "| `%s` | %s | %s | %s |\n", m.Name, m.About, strings.Join(needs, ", "), m.Presents)
	}
	readmeTable(t, "login methods", methods.String())

	var speed strings.Builder
	speed.WriteString("| measured | before | now | to reach |\n|---|---|---|---|\n")
	before := measured(t, "before")
	for _, row := range measured(t, "bench") {
		if row.Bound == "" {
			continue
		}
		was := "" // not measured then
		if i := slices.IndexFunc(before, func(b bound) bool { return b.What == row.What }); i >= 0 {
			was = before[i].String()
		}
		fmt.Fprintf(&speed, "| %s | %s | %s | %s%s |\n", row.What, was, row, row.Bound, map[bool]string{false: ": **not met**"}[row.Met])
	}
	readmeTable(t, "speed", speed.String())
}

// bound is a number that make bench has measured, and what was to be reached.
type bound struct {
	What, Unit, Bound string
	Value             float64
	Met               bool
}

func (b bound) String() string {
	return strings.TrimSpace(strconv.FormatFloat(math.Round(b.Value*100)/100, 'f', -1, 64) + " " + b.Unit)
}

// measured is what make bench has written to testdata/bench.
func measured(t *testing.T, name string) []bound {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "bench", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Rows []bound }
	if err := json.Unmarshal(raw, &report); err != nil || len(report.Rows) == 0 {
		t.Fatalf("%s: %d rows, %v", name, len(report.Rows), err)
	}
	return report.Rows
}

// readmeTable fails where README's table of something is not the one that is wanted, or writes it. It returns what comes after its beginning.
func readmeTable(t *testing.T, what, want string) string {
	t.Helper()
	begin, end := "<!-- "+what+": written by UPDATE=1 go test -run TestReadmeTables . -->\n", "<!-- end of "+what+" -->"
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(readme), begin)
	old, after, foundEnd := strings.Cut(rest, end)
	switch {
	case !found || !foundEnd:
		t.Fatalf("README.md has no place for the table of %s", what)
	case old == want:
	case os.Getenv("UPDATE") == "":
		t.Errorf("README.md's table of %s is not the program's; UPDATE=1 go test -run TestReadmeTables . writes\n%s", what, want)
	default:
		if err := os.WriteFile("README.md", []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return rest
}

// The README's kubeconfig loads, and its stanza is one that this program's grammar takes. The folders beside it have tests of their own.
func TestExamples(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" || filepath.Dir(path) != "examples" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		config, err := clientcmd.Load([]byte(strings.ReplaceAll(string(raw), "certificate-authority-data: <", "tls-server-name: <")))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for name, user := range config.AuthInfos {
			seen++
			if user.Exec.Command != "akslogin" || user.Exec.InteractiveMode == "" || user.Exec.InstallHint == "" {
				t.Errorf("%s: user %s: %+v", path, name, user.Exec)
			}
			if _, err := readStanza(&kube.Exec{Args: user.Exec.Args}); err != nil {
				t.Errorf("%s: user %s: %v", path, name, err)
			}
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("%d stanzas, %v", seen, err)
	}
}

var (
	shellWord     = regexp.MustCompile(`'([^']*)'|([^\s']+)`)
	readmeCommand = regexp.MustCompile(`(?m)^ *(akslogin .*)$`)
	joinedLines   = regexp.MustCompile(`\\\n +`)
)

// What a reader of the examples copies is a command line that this program takes.
func TestReadmeCommandsParse(t *testing.T) {
	readmes, err := filepath.Glob(filepath.Join("examples", "*", "README.md"))
	if err != nil || len(readmes) == 0 {
		t.Fatal("no README", err)
	}
	for _, path := range readmes {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := readmeCommand.FindAllStringSubmatch(joinedLines.ReplaceAllString(string(raw), ""), -1)
		if len(lines) == 0 {
			t.Errorf("%s: no command line", path)
		}
		for _, found := range lines {
			var words []string
			for _, word := range shellWord.FindAllStringSubmatch(found[1], -1) {
				words = append(words, word[1]+word[2])
			}
			if line, _, err := parseCommand(words[1:]); err != nil || line.Command() != "kubeconfig" {
				t.Errorf("%s: %s: %v", path, found[1], err)
			}
		}
	}
}

// The standard logger would print what net/http finds odd in an answer, token and all.
func TestStandardLogIsSilent(t *testing.T) {
	log.SetOutput(os.Stderr)
	run([]string{"cache", "path"}, world{})
	if log.Writer() != io.Discard {
		t.Error("the standard logger is on")
	}
}

// A memo is found by all that the program reads: a variable that is not in its list could change without being noticed.
func TestMemosDifferByEveryVariable(t *testing.T) {
	want := []string{"https_proxy", "no_proxy"} // as net/http reads them too
	for _, field := range pluginFlags() {
		for _, v := range token.Variables(field.Tag.Get) {
			want = append(want, v.Name)
		}
	}
	for _, v := range otherVariables {
		want = append(want, v.Names...)
	}
	names, prefix := memo.Variables()
	want = slices.DeleteFunc(want, func(name string) bool { return strings.HasPrefix(name, prefix) })
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(names, want) {
		t.Errorf("memo has\n%q\nand the program reads\n%q", names, want)
	}
	if memo.WellKnownTokenFile != token.WellKnownTokenFile {
		t.Error("memo and token have two well-known files")
	}
}
