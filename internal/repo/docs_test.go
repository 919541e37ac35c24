package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A page answers one question. The README is only an introduction.
const (
	maxReadmeLines = 150
	maxPageLines   = 200
	maxProseWidth  = 100
)

// block is a fenced block of a page.
type block struct {
	language, text string
	line           int // of its first line, counted from 1
}

// page is a Markdown file.
type page struct {
	path   string // in the repository, with slashes
	lines  []string
	prose  []int // indices of the lines that are neither in a block nor in a table
	blocks []block
}

func pages(t *testing.T) []page {
	t.Helper()
	out, err := exec.Command("git", "-C", repository, "ls-files", "*.md").Output()
	if err != nil {
		t.Skip("not a git repository: ", err)
	}
	var all []page
	for _, path := range strings.Fields(string(out)) {
		raw, err := os.ReadFile(filepath.Join(repository, path))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, readPage(path, string(raw)))
	}
	if len(all) == 0 {
		t.Fatal("no Markdown file")
	}
	return all
}

func readPage(path, text string) page {
	p := page{path: path, lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	var open *block
	for i, line := range p.lines {
		language, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && open == nil:
			open = &block{language: language, line: i + 2}
		case isFence:
			p.blocks, open = append(p.blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		case !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "    "):
			p.prose = append(p.prose, i)
		}
	}
	return p
}

func TestPagesAreShort(t *testing.T) {
	for _, p := range pages(t) {
		limit := map[bool]int{true: maxReadmeLines, false: maxPageLines}[p.path == "README.md"]
		if len(p.lines) > limit {
			t.Errorf("%s has %d lines, and the limit is %d", p.path, len(p.lines), limit)
		}
		for _, i := range p.prose {
			line := p.lines[i]
			if words := strings.Fields(line); len([]rune(line)) > maxProseWidth && len(words) > 2 &&
				!strings.HasPrefix(line, "<!--") {
				t.Errorf("%s:%d is %d characters wide, and the limit is %d", p.path, i+1, len([]rune(line)), maxProseWidth)
			}
		}
	}
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	notInAnchor  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns the fragments that GitHub makes of a page's headings.
func (p page) anchors() map[string]bool {
	all := map[string]bool{}
	for _, i := range p.prose {
		if heading := strings.TrimLeft(p.lines[i], "#"); heading != p.lines[i] {
			plain := notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			all[strings.ReplaceAll(plain, " ", "-")] = true
		}
	}
	return all
}

// Links within the repository lead to a file, and to a heading in it.
func TestLinksLeadSomewhere(t *testing.T) {
	anchors := map[string]map[string]bool{}
	all := pages(t)
	for _, p := range all {
		anchors[p.path] = p.anchors()
	}
	for _, p := range all {
		for _, link := range markdownLink.FindAllStringSubmatch(strings.Join(p.lines, "\n"), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			file, fragment, _ := strings.Cut(link[1], "#")
			target := p.path
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(p.path), file))
			}
			if _, err := os.Stat(filepath.Join(repository, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", p.path, link[1])
			}
			if fragment != "" && !anchors[target][fragment] {
				t.Errorf("%s links to %s, and there is no such heading", p.path, link[1])
			}
		}
	}
}

// YAML and JSON in the documentation can be parsed, and every block says what it is.
func TestBlocksParse(t *testing.T) {
	parsers := map[string]func(string) error{
		"json": func(text string) error { return json.Unmarshal([]byte(text), new(any)) },
		"yaml": func(text string) error {
			decoder := yaml.NewDecoder(strings.NewReader(text))
			for {
				if err := decoder.Decode(new(any)); err != nil {
					if err == io.EOF {
						return nil
					}
					return err
				}
			}
		},
	}
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language == "" {
				t.Errorf("%s:%d: the block names no language", p.path, b.line)
			}
			if parse := parsers[b.language]; parse != nil {
				if err := parse(b.text); err != nil {
					t.Errorf("%s:%d: %v", p.path, b.line, err)
				}
			}
		}
	}
}
