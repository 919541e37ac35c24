package flags

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// testGrammar is like the program's own, as far as flags of several commands have one name.
type testGrammar struct {
	getTokenGrammar
	Version bool `name:"version"`
	Cache   struct {
		List  struct{ Cache } `cmd:""`
		Clear struct{ Cache } `cmd:""`
	} `cmd:""`
	Kubeconfig struct {
		Server string `name:"server"`
		Output string `name:"output" short:"o"`
	} `cmd:""`
	Doctor struct {
		Server  bool   `name:"server"`
		Offline bool   `name:"offline"`
		Output  string `name:"output" short:"o"`
	} `cmd:""`
}

func TestNormalizeArgs(t *testing.T) {
	parser, err := NewParser(&testGrammar{})
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"get-token -l=spn -t a --client-id=b":            "get-token --login=spn --tenant-id=a --client-id=b",
		"-lspn get-token -ta -v":                         "get-token --login=spn --tenant-id=a --v=1",
		"get-token -v 5 --v 6 -v=7 -v8 --v=9":            "get-token --v=5 --v=6 --v=7 --v=8 --v=9",
		"get-token -v -l spn":                            "get-token --v=1 --login=spn",
		"get-token --client-secret -abc --password -l=x": "get-token --client-secret=-abc --password=-l=x",
		"get-token --token-cache-dir x --logtostderr":    "get-token --cache-dir=x --logtostderr",
		"get-token --pop-enabled=F --legacy=t --help=0":  "get-token --pop-enabled=false --legacy",
		"get-token --legacy false more -- --login x":     "get-token --legacy",
		"get-token -l=":                                  "get-token --login=",
		"--cache-dir x cache list":                       "cache list --cache-dir=x",
		"cache clear -- --cache-dir=x":                   "cache clear -- --cache-dir=x",
		"kubeconfig --server x -o json":                  "kubeconfig --server=x --output=json",
		"doctor --server x":                              "doctor x --server",
		"doctor --server":                                "doctor --server",
		"-o json --server doctor --offline":              "doctor --output=json --server --offline",
		"help cache list":                                "cache list --help",
		"":                                               "",
	} {
		got, _, err := normalizeArgs(strings.Fields(line), parser.Model)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v; want %s", line, got, err, want)
		}
	}
}

// TestParseValues checks that both ways to read an exec config's args agree.
func TestParseValues(t *testing.T) {
	for _, args := range []string{
		"get-token --login spn -l=ropc --tenant-id= --client-secret -abc --v=5 --logtostderr",
		"get-token --timeout 90s --legacy --pop-enabled=f more -- --login x",
		"-lspn get-token --use-azurerm-env-vars=true --token-cache-dir x",
		"get-token", "get-token --timeout soon", "get-token --nonsense", "get-token --login", "other", "",
	} {
		checkParseValues(t, strings.Fields(args))
	}
}

func checkParseValues(t *testing.T, args []string) {
	t.Helper()
	got, err := ParseValues(args)
	line, _, parseErr := ParseGetToken(args)
	if (err == nil) != (parseErr == nil) || err == nil && !maps.Equal(got, line.Values()) {
		t.Errorf("%q: %q, %v; want %v", args, got, err, parseErr)
	}
}

// The result of normalizeArgs has only commands, and flags whose values were in its arguments.
func FuzzNormalizeArgs(f *testing.F) {
	for _, line := range []string{"get-token\n-l=spn\n--tenant-id\nx", "cache\nlist\n--\n--x", "-v\n-v5\n--v=x\n-h", "--client-secret\n--login", "--=\n-=\n-\n--"} {
		f.Add(line)
	}
	parser, err := NewParser(&testGrammar{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		if args[0] == "get-token" && !strings.Contains(line, "\n-h") &&
			!strings.Contains(line, "\n--help") && !strings.Contains(line, "\n--version") {
			checkParseValues(t, args)
		}
		out, ignored, err := normalizeArgs(args, parser.Model)
		if err != nil {
			return
		}
		end := slices.Index(out, "--")
		if end < 0 {
			end = len(out)
		}
		for _, arg := range out[:end] {
			name, value, found := strings.Cut(arg, "=")
			if strings.HasPrefix(arg, "--") && collectFlags(parser.Model.Node).long[name[2:]] == nil {
				t.Fatalf("%q has an unknown flag %q", out, arg)
			}
			if found && value != "" && value != "1" && value != "false" && !strings.Contains(line, value) {
				t.Fatalf("%q has the value %q from nowhere", out, value)
			}
		}
		for _, word := range ignored {
			if !slices.Contains(args, word) {
				t.Fatalf("%q was never there", word)
			}
		}
	})
}
