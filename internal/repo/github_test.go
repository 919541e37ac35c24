package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func gitHubFiles(t *testing.T, pattern string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(repository, ".github", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %q, %v", pattern, paths, err)
	}
	files := map[string]string{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = string(raw)
	}
	return files
}

// A tag of an action can be moved to other code, a commit cannot. The comment is for people, and
// Dependabot keeps both up to date.
func TestWorkflowsPinActions(t *testing.T) {
	used := regexp.MustCompile(`(?m)^ *(?:- )?uses: (.*)$`)
	pinned := regexp.MustCompile(`^[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	seen := 0
	for name, text := range gitHubFiles(t, "workflows/*.yml") {
		for _, uses := range used.FindAllStringSubmatch(text, -1) {
			seen++
			if !strings.HasPrefix(uses[1], "./") && !pinned.MatchString(uses[1]) {
				t.Errorf("%s: %s", name, uses[1])
			}
		}
	}
	if seen < 5 {
		t.Errorf("%d actions", seen)
	}
}

// Whoever reports a problem is asked for the diagnosis first.
func TestIssueFormsAskForDoctor(t *testing.T) {
	for name, text := range gitHubFiles(t, "ISSUE_TEMPLATE/*.yml") {
		var form struct {
			Name, Description string
			Body              []struct {
				Type, ID   string
				Attributes struct{ Label string }
			}
		}
		if err := yaml.Unmarshal([]byte(text), &form); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "config.yml" {
			continue
		}
		asks := false
		for _, field := range form.Body {
			asks = asks || strings.Contains(field.Attributes.Label, "akslogin doctor")
			if field.Type == "" || field.ID == "" || field.Attributes.Label == "" {
				t.Errorf("%s: %+v", name, field)
			}
		}
		if !asks || form.Name == "" || form.Description == "" {
			t.Errorf("%s is no issue form that asks for doctor's output", name)
		}
	}
}

// Dependabot looks at every module.
func TestDependabotKnowsAllModules(t *testing.T) {
	var config struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directories []string
		}
	}
	if err := yaml.Unmarshal([]byte(gitHubFiles(t, "dependabot.yml")["dependabot.yml"]), &config); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, u := range config.Updates {
		for _, directory := range u.Directories {
			listed[directory] = u.Ecosystem == "gomod"
		}
	}
	var modules []string
	for _, pattern := range []string{"go.mod", "*/*/go.mod"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, found...)
	}
	for _, module := range modules {
		directory, err := filepath.Rel(repository, filepath.Dir(module))
		if err != nil {
			t.Fatal(err)
		}
		if directory = "/" + strings.TrimPrefix(filepath.ToSlash(directory), "."); !listed[directory] {
			t.Errorf("dependabot.yml does not list %s", directory)
		}
	}
}
