package cli

import (
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/warmstart"
	"github.com/akslogin/akslogin/token"
)

// notInKey lists variables that get-token reads and that cannot change a stored answer. A stored
// answer is printed only while the normal path would print the same token from the cache, without
// network. A name that ends in _ stands for every name that starts with it.
var notInKey = map[string]string{
	"GODEBUG":                        "Go's runtime; package entra reads it to find the root certificates",
	"DEBUG_HTTP2_GOROUTINES":         "net/http, to debug itself",
	"REQUEST_METHOD":                 "net/http: a CGI program must not use HTTP_PROXY",
	"LOCALDOMAIN":                    "net: the choice of the resolver",
	"RES_OPTIONS":                    "net: the choice of the resolver",
	"HOSTALIASES":                    "net: the choice of the resolver",
	"TZ":                             "time: log lines; credentials are in UTC",
	"ZONEINFO":                       "time: as TZ",
	"PWD":                            "os.Getwd: how the working directory is spelled",
	"CI":                             "whether a person can be asked; logins of people are never stored answers",
	"TF_BUILD":                       "as CI",
	"DISPLAY":                        "as CI",
	"WAYLAND_DISPLAY":                "as CI",
	"SSH_CONNECTION":                 "as CI",
	"PATH":                           "os/exec: az, azd and browsers, whose logins are never stored answers",
	"HOME":                           "leads to the cache directory, where the stored answer is",
	"USERPROFILE":                    "as HOME",
	"LOCALAPPDATA":                   "as HOME",
	"TMPDIR":                         "as HOME",
	"XDG_":                           "as HOME; adrg/xdg reads all of them, the program uses two",
	"KUBE_PATCH_CONVERSION_DETECTOR": "apimachinery, at initialization",
}

// otherCommands lists variables that only other commands than get-token read.
var otherCommands = map[string]string{
	"NO_COLOR":       "doctor",
	"TERM":           "doctor",
	"KUBECONFIG":     "kubectl's kubeconfigs: convert-kubeconfig, kubeconfig, doctor",
	"KUBERC":         "kubectl's preferences: doctor",
	"KUBECTL_KUBERC": "kubectl's preferences: doctor",
	"VIRTUAL_ENV":    "Airflow's installation: kubeconfig, doctor",
}

// notVariables lists string literals that only look like names of variables.
var notVariables = map[string]string{
	"CLIENT_ID": "token: a placeholder in a hint",
}

func isException(exceptions map[string]string, name string) bool {
	for listed := range exceptions {
		if name == listed || strings.HasSuffix(listed, "_") && strings.HasPrefix(name, listed) {
			return true
		}
	}
	return false
}

// A variable that a flag's tag or the help text names is part of a stored answer's identity. Of the
// secret flags' variables only the presence is.
func TestDocumentedVariablesCount(t *testing.T) {
	for _, field := range flags.GetTokenFields() {
		flag, isSecret := field.Tag.Get("name"), field.Tag.Get("secret") != ""
		for _, v := range token.Variables(field.Tag.Get) {
			if !envvar.InKey(v.Name) {
				t.Errorf("--%s reads $%s, which internal/envvar does not list", flag, v.Name)
			}
			if envvar.Secret(v.Name) != isSecret {
				t.Errorf("--%s is secret: %v; $%s is secret: %v", flag, isSecret, v.Name, !isSecret)
			}
		}
	}
	for _, group := range flags.VariablesWithoutFlag() {
		for _, name := range group.Names {
			if !envvar.InKey(name) {
				t.Errorf("the help text names $%s, which internal/envvar does not list", name)
			}
		}
	}
	if warmstart.WellKnownTokenFile != token.WellKnownTokenFile {
		t.Errorf("warmstart's %s is not token's %s",
			warmstart.WellKnownTokenFile, token.WellKnownTokenFile)
	}
}

// variableName matches string literals that are taken for names of variables wherever they stand.
// Names without _ are found only as arguments of getenv.
var variableName = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)

// A name that the program's sources read is listed in internal/envvar, or is of another command.
// TestReadVariablesCount sees the code that its runs reach, this test sees all code and all
// systems' files. It sees names that are constants.
func TestVariablesInSourcesCount(t *testing.T) {
	names := map[string]string{} // name to position
	for name, packageDir := range programPackages(t) {
		scanned := scanPackage(t, packageDir)
		if len(scanned.files) == 0 {
			t.Errorf("%s: no files", name)
		}
		scanned.addLiterals(names)
		scanned.addReads(names)
	}
	for name, position := range names {
		if !envvar.InKey(name) && !isException(otherCommands, name) &&
			!isException(notInKey, name) && !isException(notVariables, name) {
			t.Errorf("%s: $%s is not listed in internal/envvar", position, name)
		}
	}
	mustFind := []string{ // as a constant, an argument, of another package and another system
		"AZURE_CONFIG_DIR", "BROWSER", "KUBERNETES_EXEC_INFO", "USERPROFILE", "GODEBUG",
	}
	for _, name := range mustFind {
		if names[name] == "" {
			t.Errorf("$%s was not found", name)
		}
	}
	for name := range otherCommands {
		if names[name] == "" {
			t.Errorf("$%s is an exception, and nothing reads it", name)
		}
	}
}

// programPackages returns the directories of this module's packages in the program, by import path.
func programPackages(t *testing.T) map[string]string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command")
	}
	const format = `{{with .Module}}{{if .Main}}{{$.ImportPath}} {{$.Dir}}{{end}}{{end}}`
	list := exec.Command("go", "list", "-deps", "-f", format, ".")
	list.Dir = repository
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		importPath, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		dirs[importPath] = dir
	}
	return dirs
}

// scannedPackage is the syntax of a package's files for all systems, tests excluded.
type scannedPackage struct {
	fset      *gotoken.FileSet
	files     []*ast.File
	constants map[string][]string // values of constants; another system's file may have another
}

func scanPackage(t *testing.T, dir string) scannedPackage {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	p := scannedPackage{fset: gotoken.NewFileSet(), constants: map[string][]string{}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(p.fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		p.files = append(p.files, file)
	}
	p.inspect(func(n ast.Node) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return
		}
		for i, name := range spec.Names {
			if i < len(spec.Values) {
				p.constants[name.Name] = append(p.constants[name.Name], p.values(spec.Values[i])...)
			}
		}
	})
	return p
}

func (p scannedPackage) inspect(visit func(ast.Node)) {
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool { visit(n); return true })
	}
}

// values returns the strings that an expression stands for, if it is a literal or a constant of
// this package. A constant of another package is found there as a literal.
func (p scannedPackage) values(e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); e.Kind == gotoken.STRING && err == nil {
			return []string{s}
		}
	case *ast.Ident:
		return p.constants[e.Name]
	}
	return nil
}

func (p scannedPackage) addLiterals(names map[string]string) {
	p.inspect(func(n ast.Node) {
		literal, ok := n.(*ast.BasicLit)
		if !ok {
			return
		}
		for _, s := range p.values(literal) {
			if variableName.MatchString(s) {
				names[s] = p.fset.Position(n.Pos()).String()
			}
		}
	})
}

// addReads adds the first arguments of functions that read a variable, whatever package or value
// they belong to.
func (p scannedPackage) addReads(names map[string]string) {
	readers := []string{"getenv", "Getenv", "LookupEnv", "envvar.Get"}
	p.inspect(func(n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return
		}
		var function string
		switch f := call.Fun.(type) {
		case *ast.Ident:
			function = f.Name
		case *ast.SelectorExpr:
			function = f.Sel.Name
			if function == "Get" {
				function = fmt.Sprint(f.X, ".", f.Sel)
			}
		}
		if !slices.Contains(readers, function) {
			return
		}
		for _, name := range p.values(call.Args[0]) {
			names[name] = p.fset.Position(n.Pos()).String()
		}
	})
}
