// Repo prints the packages of the module in the current directory by layer: each package with its
// lines of code and the packages of the module that it imports, which are all in lower layers. A
// package is in the highest layer that its importers allow.
//
//	go run ./internal/repo
//
// The tests in this folder check the rules of the repository.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A goPackage is what go list says of a package of the module.
type goPackage struct {
	ImportPath, Name, Doc, Dir         string
	GoFiles, IgnoredGoFiles            []string
	TestGoFiles, XTestGoFiles          []string
	Imports, TestImports, XTestImports []string
	Module                             struct{ Path string }
}

// listPackages returns the packages of the module in dir, for the operating system of GOOS.
func listPackages(dir string) ([]goPackage, error) {
	cmd := exec.Command("go", "list", "-json", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

// path returns a package's folder in the repository; "." is the root.
func (p goPackage) path() string {
	path := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path), "/")
	if path == "" {
		return "."
	}
	return path
}

// own returns the folders of the module's packages among imports.
func (p goPackage) own(imports []string) (paths []string) {
	for _, imported := range imports {
		if imported == p.Module.Path || strings.HasPrefix(imported, p.Module.Path+"/") {
			paths = append(paths, goPackage{ImportPath: imported, Module: p.Module}.path())
		}
	}
	return paths
}

// topFolder returns the folder that a package belongs to: token for token/internal/jwt,
// internal/entratest for internal/entratest/cmd/entratest.
func topFolder(path string) string {
	parts := strings.Split(path, "/")
	if parts[0] == "internal" {
		return strings.Join(parts[:min(2, len(parts))], "/")
	}
	return parts[0]
}

// layersOf returns for each top folder its distance from the top: 1 if no other one imports it,
// else one more than the lowest importer.
func layersOf(all []goPackage) map[string]int {
	layers := map[string]int{}
	for changed := true; changed; {
		changed = false
		for _, p := range all {
			from := topFolder(p.path())
			layers[from] = max(layers[from], 1)
			for _, imported := range p.own(p.Imports) {
				to := topFolder(imported)
				if to != from && layers[to] <= layers[from] {
					layers[to], changed = layers[from]+1, true
				}
			}
		}
	}
	return layers
}

// lines counts the lines of the files.
func lines(dir string, files []string) (n int) {
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err == nil {
			n += bytes.Count(raw, []byte("\n"))
		}
	}
	return n
}

func main() {
	all, err := listPackages(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	layers := layersOf(all)
	slices.SortStableFunc(all, func(a, b goPackage) int {
		return layers[topFolder(a.path())] - layers[topFolder(b.path())]
	})
	last := 0
	for _, p := range all {
		if layer := layers[topFolder(p.path())]; layer != last {
			fmt.Printf("layer %d\n", layer)
			last = layer
		}
		fmt.Printf("  %-36s %5d lines, %5d of tests", p.path(), lines(p.Dir, slices.Concat(p.GoFiles, p.IgnoredGoFiles)),
			lines(p.Dir, slices.Concat(p.TestGoFiles, p.XTestGoFiles)))
		if imports := p.own(p.Imports); len(imports) > 0 {
			fmt.Printf("  -> %s", strings.Join(imports, ", "))
		}
		fmt.Println()
	}
}
