package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// runNormalized runs a program and replaces what differs from run to run in its standard output, so
// that scripts can compare it word for word: times, durations, ports, and the values of the
// script's variables. normalized PROGRAM [ARGUMENT...]
func runNormalized() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, &out, os.Stderr
	err := cmd.Run()
	os.Stdout.WriteString(normalizeOutput(out.String()))
	if err != nil {
		os.Exit(max(cmd.ProcessState.ExitCode(), 1))
	}
}

var outputPatterns = []struct {
	pattern     *regexp.Regexp
	replacement string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+s\b|\b(\d+h)?\d+m\b|\b\d+h\b|\b\d+ days\b`), "LENGTH"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`correlation ID [-0-9a-f]+`), "correlation ID ID"},
	{regexp.MustCompile(`\(thumbprint [0-9A-F]+\)`), "(thumbprint T)"},
}

// azCommand matches a command for a shell.
var azCommand = regexp.MustCompile(`(?m)^ *az .*$`)

// windowsQuotes replaces cmd.exe's quotes by those of POSIX shells.
var windowsQuotes = strings.NewReplacer(`\"`, `"`, `"`, `'`)

// windowsWords replaces what is only true of Windows by what is true of Linux.
var windowsWords = strings.NewReplacer(
	" (cmd.exe)\n", "\n",
	"; $SSL_CERT_FILE is not read on Windows ->", "; $SSL_CERT_FILE names the trusted certificates ->",
	"among the trusted root certificates (certmgr.msc); $SSL_CERT_FILE is not read on Windows",
	"in the file that $SSL_CERT_FILE names; an image without CA certificates needs the package ca-certificates",
)

// windowsPath matches a path below a folder that a variable names, or below /var.
var windowsPath = regexp.MustCompile(`(\$[A-Z]+|\\var)\\[^\s"]+`)

func normalizeOutput(text string) string {
	if program, err := exec.LookPath("akslogin"); err == nil {
		text = strings.ReplaceAll(text, filepath.Dir(program), "$BIN")
	}
	names := []string{"TOKEN", "CACHE", "HOME", "WORK", "ISSUER"}
	slices.SortFunc(names, func(a, b string) int { return len(os.Getenv(b)) - len(os.Getenv(a)) })
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			quoted := strconv.Quote(value)
			text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], "$"+name)
			text = strings.ReplaceAll(text, value, "$"+name)
		}
	}
	if runtime.GOOS == "windows" {
		text = windowsWords.Replace(strings.ReplaceAll(text, "akslogin.exe", "akslogin"))
		text = azCommand.ReplaceAllStringFunc(text, windowsQuotes.Replace)
		text = regexp.MustCompile(notFound+`( specified)?\.`).
			ReplaceAllString(text, "no such file or directory")
		text = windowsPath.ReplaceAllStringFunc(text, func(path string) string {
			return strings.ReplaceAll(strings.ReplaceAll(path, `\\`, "/"), `\`, "/")
		})
	}
	for _, p := range outputPatterns {
		text = p.pattern.ReplaceAllString(text, p.replacement)
	}
	return text
}
