package repo

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type goPackage struct {
	ImportPath, Doc, Name string
	Imports               []string
}

func listPackages(t *testing.T) []goPackage {
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

// Imports form a star, so that cycles cannot arise: main knows token, cache and kube, and these
// know nothing of ours.
func TestImportsPointDownward(t *testing.T) {
	allowed := map[string][]string{
		module:                     {module + "/cache", module + "/internal/process", module + "/kube", module + "/memo", module + "/token"},
		module + "/cache":          {module + "/cache/sealed"},
		module + "/memo":           {module + "/cache/sealed", module + "/internal/process"},
		module + "/internal/demo":  {module + "/internal/entratest"},
		module + "/internal/bench": {module + "/internal/entratest", module + "/internal/incumbent"},
	}
	for _, p := range listPackages(t) {
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

func TestPackagesAreDocumented(t *testing.T) {
	for _, p := range listPackages(t) {
		if !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") && p.Name != "main" || p.Doc == "" {
			t.Errorf("%s: %q", p.ImportPath, p.Doc)
		}
	}
}
