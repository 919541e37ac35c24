package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each promise in SECURITY.md names tests that are there.
func TestSecurityPromisesNameTests(t *testing.T) {
	there := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, isScript := strings.CutSuffix(d.Name(), ".txtar"); isScript {
			there["script/"+name] = true
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		raw, err := os.ReadFile(path)
		for _, found := range function.FindAllStringSubmatch(string(raw), -1) {
			there[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join("..", "..", "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, promises, _ := strings.Cut(string(raw), "## What is promised\n")
	promises, _, found := strings.Cut(promises, "## What is not promised\n")
	if !found {
		t.Fatal("SECURITY.md does not say what is promised, and what not")
	}
	word := regexp.MustCompile("`([^`]*)`")
	seen := 0
	for line := range strings.Lines(promises) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 4 || strings.HasPrefix(cells[1], "---") || strings.TrimSpace(cells[1]) == "promise" {
			if strings.HasPrefix(line, "|") && len(cells) != 4 {
				t.Errorf("not a promise and its tests: %s", line)
			}
			continue
		}
		seen++
		tests := word.FindAllStringSubmatch(cells[2], -1)
		if len(tests) == 0 {
			t.Errorf("no test: %s", cells[1])
		}
		for _, test := range tests {
			if !there[test[1]] {
				t.Errorf("there is no %s, of the promise:%s", test[1], cells[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d promises", seen)
	}
}
