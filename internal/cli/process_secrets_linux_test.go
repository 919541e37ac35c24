package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/token"
)

// crash is how a process ended that was killed by a signal.
type crash struct {
	status syscall.WaitStatus
	stderr string
	files  []string // in its working folder
}

// runWithCoreDumps runs a command with core dumps enabled. It calls kill while the command runs.
func runWithCoreDumps(
	t *testing.T, env []string, kill func(*os.Process), command ...string,
) crash {
	t.Helper()
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	shell := []string{"-c", `ulimit -c unlimited && exec "$@"`, "sh"}
	cmd := exec.CommandContext(ctx, "/bin/sh", append(shell, command...)...)
	cmd.Dir = folder
	defaults := []string{"HOME=" + folder, "TMPDIR=" + folder, "PATH=" + os.Getenv("PATH"), "GOTRACEBACK=crash"}
	cmd.Env = append(defaults, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill(cmd.Process)
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	c := crash{cmd.ProcessState.Sys().(syscall.WaitStatus), stderr.String(), nil}
	for _, f := range entries {
		c.files = append(c.files, f.Name())
	}
	return c
}

// TestNoCoreFile checks that a process which dies while it holds secrets leaves no core file, and
// prints no secret in its stack traces.
func TestNoCoreFile(t *testing.T) {
	control := runWithCoreDumps(t, nil, func(*os.Process) {}, "/bin/sh", "-c", "kill -SEGV $$")
	if !control.status.CoreDump() {
		t.Skip("this machine writes no core files")
	}
	for name, login := range secretLogins(t) {
		signals := []syscall.Signal{syscall.SIGQUIT}
		if name == "workloadidentity" {
			signals = append(signals, syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS,
				syscall.SIGILL, syscall.SIGTRAP, syscall.SIGSYS, syscall.SIGFPE)
		}
		for _, signal := range signals {
			t.Run(fmt.Sprintf("%s/%v", name, signal), func(t *testing.T) {
				killInLogin(t, signal, login, "akslogin")
			})
		}
	}
	t.Run("prctl refused", func(t *testing.T) {
		login := secretLogins(t)["workloadidentity"]
		killInLogin(t, syscall.SIGABRT, login, "no-prctl", "akslogin")
	})
}

// killInLogin runs a login by a command, kills it when it has sent its secret, and checks what it
// leaves.
func killInLogin(t *testing.T, signal syscall.Signal, login secretLogin, command ...string) {
	t.Helper()
	requested, ended := make(chan bool), make(chan bool)
	network := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			serveLikeEntra(w, r)
			return
		}
		requested <- true
		<-ended
	})
	got := runWithCoreDumps(t, network.env(), func(p *os.Process) {
		select {
		case <-requested:
		case <-time.After(30 * time.Second):
			t.Error("no token request")
		}
		p.Signal(signal)
	}, append(command, getTokenArgs(login.args...)...)...)
	close(ended)
	network.wantSecretOnlyAt(t, login.secret, microsoftHost)
	checkCrash(t, got, login.secret)
}

func checkCrash(t *testing.T, c crash, secret string) {
	t.Helper()
	if c.status.CoreDump() {
		t.Error("its memory was written to a file")
	}
	isCore := func(name string) bool { return strings.Contains(name, "core") }
	if slices.ContainsFunc(c.files, isCore) {
		t.Errorf("left %v", c.files)
	}
	if !c.status.Signaled() || !strings.Contains(c.stderr, "goroutine") {
		t.Errorf("ended with %v, stderr %.500s", c.status, c.stderr)
	}
	for _, part := range append(strings.Split(secret, "."), url.QueryEscape(secret)) {
		if len(part) > 8 && strings.Contains(c.stderr, part) {
			t.Errorf("%q is in its stack trace", part)
		}
	}
}

// writeRecorder writes a program that records its command line and its environment, each run in
// files of its own, and then runs a shell command. It returns the folder of the records.
func writeRecorder(t *testing.T, folder, name, command string) (records string) {
	t.Helper()
	records = filepath.Join(t.TempDir(), "records")
	if err := os.Mkdir(records, 0o700); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n"+
		"cat /proc/$$/cmdline >%s/$$.cmdline\ncat /proc/$$/environ >%[1]s/$$.environ\n%s\n",
		records, command)
	if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return records
}

// readRecords returns the words of a recorder's command lines or environments: kind is cmdline or
// environ.
func readRecords(t *testing.T, records, kind string) (words []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(records, "*."+kind))
	if err != nil || len(files) == 0 {
		t.Fatalf("it was not run: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00")...)
	}
	return words
}

// TestChildProcessesGetNoSecret checks that child processes get no secret on their command lines,
// and the program's own environment without additions.
func TestChildProcessesGetNoSecret(t *testing.T) {
	const printTokens = `echo '{"accessToken":"granted.to.az","token":"granted.to.azd",` +
		`"expires_on":4102444800,"expiresOn":"2099-12-31T00:00:00Z"}'`
	folder := t.TempDir()
	s := entratest.New(t)
	registerFixtures(s)
	env := []string{
		"PATH=" + folder + ":/usr/bin:/bin",
		"BROWSER=" + filepath.Join(folder, "browser"),
		`KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1",` +
			`"kind":"ExecCredential","spec":{"interactive":true}}`,
		"HTTPS_PROXY=" + s.ProxyURL, "SSL_CERT_FILE=" + s.CAFile,
	}
	for name, login := range map[string][]string{
		"az":      {"get-token", "--login", "azurecli", "--tenant-id", tenant},
		"azd":     {"get-token", "--login", "azd", "--tenant-id", tenant},
		"browser": {"get-token", "--login", "interactive", "--tenant-id", tenant, "--client-id", token.PublicClientID, "--timeout", "1s"},
	} {
		t.Run(name, func(t *testing.T) {
			records := writeRecorder(t, folder, name, printTokens)
			got := runProgram(t, env, login...)
			hasToken := strings.Contains(got.stdout, "granted.to."+name)
			if name != "browser" && (got.exit != 0 || !hasToken) {
				t.Errorf("%+v", got)
			}
			for _, variable := range readRecords(t, records, "environ") {
				name, _, _ := strings.Cut(variable, "=")
				if !slices.Contains(env, variable) && !slices.Contains(addedVariables, name) {
					t.Errorf("its environment has %s", variable)
				}
			}
			for _, word := range readRecords(t, records, "cmdline") {
				if strings.Contains(word, "granted") || looksSecret(word) {
					t.Errorf("its command line has %s", word)
				}
				if u, err := url.Parse(word); err == nil && u.Scheme == "https" {
					for parameter := range u.Query() {
						if !slices.Contains(publicParameters, parameter) {
							t.Errorf("the URL in its command line has %s", parameter)
						}
					}
				}
			}
		})
	}
}

// addedVariables are the names of variables that runProgram sets, and that a shell sets.
var addedVariables = []string{"HOME", "TMPDIR", "PATH", "PWD"}

// publicParameters are the parameters that a browser may carry: those of RFC 6749, section 4.1.1,
// of RFC 7636 (the challenge, not the verifier) and of OpenID Connect.
var publicParameters = []string{
	"client_id", "code_challenge", "code_challenge_method", "prompt", "redirect_uri",
	"response_mode", "response_type", "scope", "state", "login_hint", "client_info", "nonce",
}

func looksSecret(word string) bool {
	isMark := func(mark string) bool { return strings.Contains(word, mark) }
	return slices.ContainsFunc([]string{"eyJ", "code_verifier", "secret", "password"}, isMark)
}
