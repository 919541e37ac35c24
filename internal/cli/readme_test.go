package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/token"
	"github.com/alecthomas/kong"
)

func grammarModel(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := flags.NewParser(&grammar{})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// TestReadmeTables checks that the tables in the documentation match the grammar, the login methods
// and the last benchmark. UPDATE=1 rewrites them.
func TestReadmeTables(t *testing.T) {
	checkTable(t, "docs/reference.md", "commands", commandTable(t))
	checkTable(t, "docs/reference.md", "flags", flagTable(t))
	checkTable(t, "docs/reference.md", "flags of other commands", otherFlagTable(t))
	checkTable(t, "docs/reference.md", "variables", variableTable())
	checkTable(t, "docs/logins.md", "login methods", methodTable())
	checkTable(t, "docs/performance.md", "speed", speedTable(t))
}

func commandTable(t *testing.T) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| command | what it does |\n|---|---|\n")
	for _, command := range grammarModel(t).Leaves(true) {
		fmt.Fprintf(&table, "| `%s` | %s |\n", command.Path(), command.Help)
	}
	return table.String()
}

func flagTable(t *testing.T) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| flag | what it is for | variables | default |\n|---|---|---|---|\n")
	for _, f := range visibleFlags(t) {
		var variables []string
		for _, v := range token.Variables(f.Tag.Get) {
			mark := map[bool]string{true: "**!**"}[v.Overrides]
			variables = append(variables, "`"+v.Name+"`"+mark)
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n",
			flagName(f), flagAbout(f), strings.Join(variables, " "), flags.Default(f.Value))
	}
	return table.String()
}

// otherFlagTable lists the flags of each command besides those of get-token, which most commands
// have too.
func otherFlagTable(t *testing.T) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| command | flag | what it is for | default |\n|---|---|---|---|\n")
	known := map[string]bool{"help": true}
	for _, f := range visibleFlags(t) {
		known[f.Name] = true
	}
	for _, command := range grammarModel(t).Leaves(true) {
		for _, f := range command.Flags {
			if !f.Hidden && !known[f.Name] {
				fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n",
					command.Path(), flagName(f), flagAbout(f), flags.Default(f.Value))
			}
		}
	}
	// Some defaults are the name that the program was called by.
	return strings.ReplaceAll(table.String(), process.Name(), "akslogin")
}

func visibleFlags(t *testing.T) (all []*kong.Flag) {
	t.Helper()
	for _, command := range grammarModel(t).Leaves(false) {
		if command.Name != "get-token" {
			continue
		}
		for _, f := range command.Flags {
			if !f.Hidden {
				all = append(all, f)
			}
		}
	}
	return all
}

func flagName(f *kong.Flag) string {
	name := "`--" + f.Name + "`"
	if f.Short != 0 {
		name += ", `-" + string(f.Short) + "`"
	}
	return name
}

// addressPattern matches the form of an address, which must not become a link.
var addressPattern = regexp.MustCompile(`https?://[A-Za-z]+[:/][A-Z]*`)

// flagAbout returns what a flag is for as a cell of a table.
func flagAbout(f *kong.Flag) string {
	about := strings.ReplaceAll(flags.About(f.Value), "|", "\\|")
	return addressPattern.ReplaceAllString(about, "`$0`")
}

func variableTable() string {
	var table strings.Builder
	table.WriteString("| variables | for |\n|---|---|\n")
	for _, v := range flags.VariablesWithoutFlag() {
		fmt.Fprintf(&table, "| `%s` | %s |\n", strings.Join(v.Names, "` `"), v.About)
	}
	return table.String()
}

func methodTable() string {
	var table strings.Builder
	table.WriteString("| `--login` | who logs in, and how | needs | cached, and sealed with |\n" +
		"|---|---|---|---|\n")
	for _, m := range token.Methods {
		var required []string
		for _, names := range m.Required {
			required = append(required, "`--"+strings.ReplaceAll(names, "|", "` or `--")+"`")
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n",
			m.Name, m.About, strings.Join(required, ", "), m.SealedWith)
	}
	return table.String()
}

func speedTable(t *testing.T) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| measured | before | now | to reach |\n|---|---|---|---|\n")
	before := readBenchRows(t, "before")
	for _, row := range readBenchRows(t, "bench") {
		if row.Bound == "" {
			continue
		}
		old := "" // not measured before
		for _, b := range before {
			if b.What == row.What {
				old = b.String()
			}
		}
		notMet := map[bool]string{false: ": **not met**"}[row.Met]
		fmt.Fprintf(&table, "| %s | %s | %s | %s%s |\n", row.What, old, row, row.Bound, notMet)
	}
	return table.String()
}

// benchRow is a row of make bench's report.
type benchRow struct {
	What, Unit string
	Value      float64
	Bound      string // "" if there is none
	Met        bool   // the bound
}

func (b benchRow) String() string {
	value := strconv.FormatFloat(math.Round(b.Value*100)/100, 'f', -1, 64)
	return strings.TrimSpace(value + " " + b.Unit)
}

// readBenchRows reads a report of make bench in docs/bench.
func readBenchRows(t *testing.T, name string) []benchRow {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, "docs", "bench", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Rows []benchRow }
	if err := json.Unmarshal(raw, &report); err != nil || len(report.Rows) == 0 {
		t.Fatalf("%s: %d rows, %v", name, len(report.Rows), err)
	}
	return report.Rows
}

// checkTable compares a table in a page, which is between two comments with its name. With UPDATE
// set it rewrites the table.
func checkTable(t *testing.T, page, name, want string) {
	t.Helper()
	const update = "UPDATE=1 go test -run TestReadmeTables ./internal/cli"
	begin := "<!-- " + name + ": written by " + update + " -->\n"
	end := "<!-- end of " + name + " -->"
	path := filepath.Join(repository, page)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, hasBegin := strings.Cut(string(content), begin)
	table, after, hasEnd := strings.Cut(rest, end)
	want = "\n" + want + "\n"
	switch {
	case !hasBegin || !hasEnd:
		t.Fatalf("%s has no place for the table of %s", page, name)
	case table == want:
	case os.Getenv("UPDATE") == "":
		t.Errorf("%s: the table of %s is out of date; %s writes\n%s", page, name, update, want)
	default:
		content = []byte(before + begin + want + end + after)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
