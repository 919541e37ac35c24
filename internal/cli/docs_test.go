package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var (
	shellWord      = regexp.MustCompile(`'([^']*)'|"([^"]*)"|([^\s'"]+)`)
	documented     = regexp.MustCompile("(?m)^ *(?:\\$ )?(akslogin .*)$|`(akslogin [^`]+)`")
	continuation   = regexp.MustCompile(`\\\n +`)
	placeholder    = regexp.MustCompile(`<[^<>]*>`)
	endOfCommand   = regexp.MustCompile(`\s(#|\||&&|>|;).*`)
	yamlBlock      = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	printsAndExits = regexp.MustCompile(` (--help|-h|--version|__complete)\b`)
	notACommand    = regexp.MustCompile(`^akslogin (binary|is|and|as|needs|runs|to)\b`)
	markdownFiles  = []string{"*.md", "docs/*.md", "examples/*.md", "examples/*/*.md"}
)

// TestDocumentedCommandsParse checks that every akslogin command in the documentation, and every
// exec config, is one that this program understands.
func TestDocumentedCommandsParse(t *testing.T) {
	commands := 0
	for _, pattern := range markdownFiles {
		paths, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatal(pattern, err)
		}
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, words := range documentedCommands(t, path, string(raw)) {
				commands++
				if _, _, err := parseCommand(words); err != nil {
					t.Errorf("%s: akslogin %s: %v", path, strings.Join(words, " "), err)
				}
			}
		}
	}
	if commands < 20 {
		t.Errorf("only %d commands are documented", commands)
	}
}

// documentedCommands returns the arguments of the commands in a page: those of command lines, of
// code in a sentence, and of the exec configs in YAML. Dots stand for arguments that are left out.
func documentedCommands(t *testing.T, path, text string) (all [][]string) {
	lines := continuation.ReplaceAllString(text, " ")
	for _, found := range documented.FindAllStringSubmatch(lines, -1) {
		command := endOfCommand.ReplaceAllString(found[1]+found[2], "")
		if strings.Contains(command, "...") || printsAndExits.MatchString(command) || notACommand.MatchString(command) {
			continue
		}
		var words []string
		for _, word := range shellWord.FindAllStringSubmatch(placeholder.ReplaceAllString(command, "x"), -1) {
			words = append(words, word[1]+word[2]+word[3])
		}
		all = append(all, words[1:])
	}
	for _, block := range yamlBlock.FindAllStringSubmatch(text, -1) {
		var document any
		if err := yaml.Unmarshal([]byte(block[1]), &document); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		all = append(all, execArgs(document)...)
	}
	return all
}

// execArgs returns the args of all exec configs in a YAML document that run akslogin.
func execArgs(node any) (all [][]string) {
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			all = append(all, execArgs(child)...)
		}
	case map[string]any:
		if args, ok := node["args"].([]any); ok && node["command"] == "akslogin" {
			var words []string
			for _, arg := range args {
				word, _ := arg.(string)
				words = append(words, word)
			}
			all = append(all, words)
		}
		for _, child := range node {
			all = append(all, execArgs(child)...)
		}
	}
	return all
}
