package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/flags"
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

// README's tables are the program's: of flags the grammar's, of login methods the list's. UPDATE=1
// writes them anew.
func TestReadmeTables(t *testing.T) {
	var flagRows strings.Builder
	flagRows.WriteString("| flag | variables | default |\n|---|---|---|\n")
	for _, command := range grammarModel(t).Leaves(false) {
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
	for _, v := range flags.VariablesWithoutFlag {
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
		for _, need := range m.Required {
			needs = append(needs, "`--"+strings.ReplaceAll(need, "|", "` or `--")+"`")
		}
		fmt.Fprintf(&methods, "| `%s` | %s | %s | %s |\n", m.Name, m.About, strings.Join(needs, ", "), m.SealedWith)
	}
	readmeTable(t, "login methods", methods.String())

	var speed strings.Builder
	speed.WriteString("| measured | before | now | to reach |\n|---|---|---|---|\n")
	before := readBenchRows(t, "before")
	for _, row := range readBenchRows(t, "bench") {
		if row.Bound == "" {
			continue
		}
		was := "" // not measured then
		if i := slices.IndexFunc(before, func(b benchRow) bool { return b.What == row.What }); i >= 0 {
			was = before[i].String()
		}
		fmt.Fprintf(&speed, "| %s | %s | %s | %s%s |\n", row.What, was, row, row.Bound, map[bool]string{false: ": **not met**"}[row.Met])
	}
	readmeTable(t, "speed", speed.String())
}

// benchRow is a number that make bench has measured, and what was to be reached.
type benchRow struct {
	What, Unit, Bound string
	Value             float64
	Met               bool
}

func (b benchRow) String() string {
	return strings.TrimSpace(strconv.FormatFloat(math.Round(b.Value*100)/100, 'f', -1, 64) + " " + b.Unit)
}

// readBenchRows is what make bench has written to docs/bench.
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

// readmeTable fails where README's table of something is not the one that is wanted, or writes it.
// It returns what comes after its beginning.
func readmeTable(t *testing.T, what, want string) string {
	t.Helper()
	begin, end := "<!-- "+what+": written by UPDATE=1 go test -run TestReadmeTables ./internal/cli -->\n", "<!-- end of "+what+" -->"
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
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
		t.Errorf("README.md's table of %s is not the program's; UPDATE=1 go test -run TestReadmeTables ./internal/cli writes\n%s", what, want)
	default:
		if err := os.WriteFile(filepath.Join(repository, "README.md"), []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return rest
}

var (
	shellWord     = regexp.MustCompile(`'([^']*)'|([^\s']+)`)
	readmeCommand = regexp.MustCompile(`(?m)^ *(akslogin .*)$`)
	joinedLines   = regexp.MustCompile(`\\\n +`)
)

// What a reader of the examples copies is a command line that this program takes.
func TestReadmeCommandsParse(t *testing.T) {
	readmes, err := filepath.Glob(filepath.Join(repository, "examples", "*", "README.md"))
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
