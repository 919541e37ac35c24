package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/cli"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
	"github.com/alecthomas/kong"
)

// The page names every command, flag, login method, variable and exit status.
func TestManualIsComplete(t *testing.T) {
	text := write(t)
	model, err := cli.Model()
	if err != nil {
		t.Fatal(err)
	}
	want := func(lines ...string) {
		t.Helper()
		if joined := strings.Join(lines, "\n"); !strings.Contains(text, "\n"+joined) {
			t.Errorf("the page has no %q", joined)
		}
	}
	_ = kong.Visit(model, func(v kong.Visitable, next kong.Next) error {
		switch v := v.(type) {
		case *kong.Node:
			if v.Hidden {
				return nil
			}
			if v.Leaf() {
				want(".Ss "+v.Path(), v.Help)
			}
		case *kong.Flag:
			if !v.Hidden && !regexp.MustCompile(`(?m)^\.It .*\bFl -`+v.Name+`( |$)`).MatchString(text) {
				t.Errorf("the page has no --%s", v.Name)
			}
			for _, variable := range token.Variables(v.Tag.Get) {
				want(".It Ev " + variable.Name + "\n")
			}
		}
		return next(nil)
	})
	for _, group := range flags.VariablesWithoutFlag() {
		want(".It Ev "+strings.Join(group.Names, " , Ev "), group.About)
	}
	for _, m := range token.Methods {
		want(".It Cm " + m.Name + "\n")
	}
	for _, status := range []string{"0", "1", "2", "3"} {
		want(".It " + status + "\n")
	}
}

// mandoc, the strictest reader of manual pages, finds nothing wrong.
func TestManualIsValid(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		if runtime.GOOS == "linux" && os.Getenv("AKSLOGIN_TEST_CLIENTS") == "required" {
			t.Fatal(err)
		}
		t.Skip("mandoc is not installed")
	}
	file := filepath.Join(t.TempDir(), "akslogin.1")
	if err := os.WriteFile(file, []byte(write(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	out, err := exec.Command(mandoc, "-T", "ascii", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`.\x08`).ReplaceAllString(string(out), "")
	for _, want := range []string{
		"AKSLOGIN(1)", "akslogin get-token [flags]", "akslogin completion shell [flags]", "-l, --login METHOD",
		"source <(akslogin completion bash), in ~/.bashrc", "     AAD_LOGIN_METHOD\n", "     HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE",
		"January 2, 2026",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page does not show %q:\n%s", want, shown)
		}
	}
}

func write(t *testing.T) string {
	t.Helper()
	text, err := manual(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
