package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const repository = "../.."

// layers are those of the program from the top down, each with its top folders (see [topFolder]). A
// package imports only packages in its own folder and in lower layers. There are at most six
// layers, so that a reader of a package need not know the whole program.
var layers = [][]string{
	{".", "internal/man"},
	{"internal/cli", "internal/demo", "internal/bench", "internal/repo", "internal/wine"},
	{"internal/doctor"},
	{"internal/stanza"},
	{"internal/flags", "internal/airflow", "internal/arm", "internal/runlog", "internal/warmstart"},
	{
		"token", "cache", "internal/envvar", "internal/execcredential", "internal/kubeconfig", "internal/process",
		"internal/entratest", "internal/kubelogin", "examples",
	},
}

// onlyFrom has the folders that not every higher layer may import, and the folders that may.
var onlyFrom = map[string][]string{
	// Importing it has an effect: see its doc comment.
	"internal/warmstart": {".", "internal/cli"},
	// The shipped program must not contain the emulator.
	"internal/entratest": {"internal/demo", "internal/bench"},
	"internal/kubelogin": {"internal/bench"},
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	all, err := listPackages(repository)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestImportsPointDownward(t *testing.T) {
	layerOf := func(path string) int {
		return slices.IndexFunc(layers, func(folders []string) bool {
			return slices.Contains(folders, topFolder(path))
		})
	}
	if len(layers) > 6 {
		t.Errorf("%d layers", len(layers))
	}
	for _, p := range packages(t) {
		from := p.path()
		if layerOf(from) < 0 {
			t.Errorf("%s is in no layer: add it to layers", from)
		}
		for _, to := range p.own(p.Imports) {
			if topFolder(from) == topFolder(to) {
				continue
			}
			if layerOf(to) <= layerOf(from) {
				t.Errorf("%s imports %s, which is not in a lower layer", from, to)
			}
			importers, restricted := onlyFrom[topFolder(to)]
			if restricted && !slices.Contains(importers, topFolder(from)) {
				t.Errorf("%s imports %s; only %s may", from, to, strings.Join(importers, ", "))
			}
		}
	}
}

// Importers of token and cache do not import any other package of the program with them.
func TestImportablePackagesStandAlone(t *testing.T) {
	for _, p := range packages(t) {
		if topFolder(p.path()) != "token" && topFolder(p.path()) != "cache" {
			continue
		}
		for _, to := range p.own(p.Imports) {
			if topFolder(to) != topFolder(p.path()) {
				t.Errorf("%s imports %s", p.path(), to)
			}
		}
		for _, imported := range p.Imports {
			isForeign := strings.Contains(imported, "Azure") || strings.Contains(imported, "k8s.io")
			if topFolder(p.path()) == "cache" && isForeign {
				t.Errorf("%s imports %s: the cache knows bytes, not tokens", p.path(), imported)
			}
		}
	}
}

// A warm start ends in the initialization of package warmstart. Its imports are initialized before,
// at every start.
func TestWarmStartImportsNoNetworkPackages(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		cmd := exec.Command("go", "list", "-deps", "./internal/warmstart")
		cmd.Dir = repository
		cmd.Env = append(cmd.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, dependency := range strings.Fields(string(out)) {
			switch dependency {
			case "net", "net/netip", "regexp", "golang.org/x/sys/windows":
				t.Errorf("on %s it imports %s", goos, dependency)
			}
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && (p.Doc == "" || p.Name != "main" && !strings.HasPrefix(p.Doc, "Package "+p.Name+" ")) {
			t.Errorf("%s: %q", p.ImportPath, p.Doc)
		}
	}
}

// The root has no Go file but main.go, so that a reader finds the program's entry point.
func TestRootHoldsMainOnly(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(repository, "*.go"))
	if err != nil || len(files) != 1 || filepath.Base(files[0]) != "main.go" {
		t.Errorf("%q, %v", files, err)
	}
}

const (
	maxFileLines     = 400
	maxFunctionLines = 60
	maxColumns       = 100 // of comments; a tab counts 4
)

// longFiles and longFunctions have their reasons.
var (
	longFiles     = map[string]string{}
	longFunctions = map[string]string{}
)

func TestSourceIsShort(t *testing.T) {
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		rel, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		if n := set.File(file.FileStart).LineCount(); n > maxFileLines && longFiles[rel] == "" {
			t.Errorf("%s has %d lines", rel, n)
		}
		for _, decl := range file.Decls {
			f, isFunc := decl.(*ast.FuncDecl)
			if !isFunc {
				continue
			}
			n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1
			if name := rel + " " + f.Name.Name; n > maxFunctionLines && longFunctions[name] == "" {
				t.Errorf("%s has %d lines", name, n)
			}
		}
		for _, group := range file.Comments {
			for _, comment := range group.List {
				at := set.Position(comment.Pos())
				width := at.Column - 1 + len([]rune(comment.Text))
				if at.Column > 1 && at.Column < 6 { // indented by tabs alone
					width += 3 * (at.Column - 1)
				}
				if width > maxColumns && !strings.Contains(comment.Text, "http") && ownLine(set, file, comment) {
					t.Errorf("%s:%d: a comment of %d columns", rel, at.Line, width)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ownLine reports whether the comment has a line of its own.
func ownLine(set *token.FileSet, file *ast.File, comment *ast.Comment) bool {
	line := set.Position(comment.Pos()).Line
	alone := true
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil || n == ast.Node(file) {
			return true
		}
		if _, isComment := n.(*ast.CommentGroup); isComment {
			return false
		}
		start, end := set.Position(n.Pos()).Line, set.Position(n.End()).Line
		if start > line || end < line {
			return false
		}
		if start == line && n.Pos() < comment.Pos() || end == line && n.End() <= comment.Pos() {
			alone = false
		}
		return alone
	})
	return alone
}
