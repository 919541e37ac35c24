package kong_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	upstream "github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/akslogin/akslogin/internal/kong"
)

// ours are the files here that are not kong's.
var ours = []string{"methods.go"}

// What is here is the release that go.mod names, with akslogin.patch. UPDATE=1 takes the release's files but for those that the patch changes, which
// are a person's to merge, and writes the patch anew.
func TestCopy(t *testing.T) {
	update := os.Getenv("UPDATE") != ""
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/alecthomas/kong").Output()
	if err != nil {
		t.Fatal(err)
	}
	released, here := sources(t, strings.TrimSpace(string(out))), sources(t, ".")
	expected, err := os.ReadFile("akslogin.patch")
	if err != nil {
		t.Fatal(err)
	}
	for name := range here {
		if _, ok := released[name]; !ok && !slices.Contains(ours, name) {
			t.Errorf("%s is no file of the release", name)
		}
	}
	var patch []byte
	for _, name := range slices.Sorted(maps.Keys(released)) {
		if update && !bytes.Contains(expected, []byte("\n+++ "+name+"\n")) {
			if err := os.WriteFile(name, released[name], 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		patch = append(patch, diff.Diff(name, released[name], name, here[name])...)
	}
	switch {
	case update:
		if err := os.WriteFile("akslogin.patch", patch, 0o644); err != nil {
			t.Fatal(err)
		}
	case !bytes.Equal(patch, expected):
		t.Errorf("this copy differs from the release in go.mod otherwise than akslogin.patch says:\n%s", diff.Diff("akslogin.patch", expected, "now", patch))
	}
}

// sources are the Go files in a folder that are no tests.
func sources(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = raw
	}
	return files
}

// hooked has every method that kong asks for; each says so.
type hooked struct {
	Called *[]string `kong:"-"`
	Name   string
	Sub    sub `kong:"cmd"`
}

type sub struct {
	Called *[]string `kong:"-"`
	embedded
	Word word
}

type embedded struct {
	Called *[]string `kong:"-"`
	Deep   string
}

type word string

func (h *hooked) BeforeReset() error   { return say(h.Called, "BeforeReset") }
func (h *hooked) BeforeResolve() error { return say(h.Called, "BeforeResolve") }
func (h *hooked) BeforeApply() error   { return say(h.Called, "BeforeApply") }
func (h *hooked) AfterApply() error    { return say(h.Called, "AfterApply") }
func (h *hooked) AfterRun() error      { return say(h.Called, "AfterRun") }
func (s *sub) BeforeApply() error      { return say(s.Called, "sub.BeforeApply") }
func (s sub) AfterApply() error        { return say(s.Called, "sub.AfterApply") }
func (s *sub) Run() error              { return say(s.Called, "sub.Run") }
func (e *embedded) BeforeReset() error { return say(e.Called, "embedded.BeforeReset") }
func (w word) AfterApply(called *[]string) error {
	return say(called, "word.AfterApply "+string(w))
}

func say(called *[]string, what string) error {
	if called != nil {
		*called = append(*called, what)
	}
	return nil
}

// The same methods are called as by the release.
func TestMethods(t *testing.T) {
	grammar := func() (*hooked, *[]string) {
		called := new([]string)
		return &hooked{Called: called, Sub: sub{Called: called, embedded: embedded{Called: called}}}, called
	}
	args := []string{"--name", "n", "sub", "--deep", "d", "--word", "w"}
	theirs, want := grammar()
	p, err := upstream.New(theirs, upstream.Bind(want))
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	mine, got := grammar()
	q, err := kong.New(mine, kong.Bind(got))
	if err != nil {
		t.Fatal(err)
	}
	d, err := q.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(*got, *want) || len(*want) < 9 {
		t.Errorf("called were\n%s\nand the release calls\n%s", strings.Join(*got, "\n"), strings.Join(*want, "\n"))
	}
}
