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

// runWithCoreDumps runs a command where core files may be as large as they like, and are asked for;
// it returns how that ended and what is in its folder.
func runWithCoreDumps(t *testing.T, env []string, act func(*os.Process), command ...string) (status syscall.WaitStatus, stderr string, files []string) {
	t.Helper()
	folder := t.TempDir()
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", `ulimit -c unlimited && exec "$@"`, "sh"}, command...)...)
	cmd.Dir = folder
	cmd.Env = append([]string{"HOME=" + folder, "PATH=" + os.Getenv("PATH"), "GOTRACEBACK=crash"}, env...)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	act(cmd.Process)
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	all, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		files = append(files, f.Name())
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus), out.String(), files
}

// A process that dies while it holds secrets leaves no core file, and its last words, which are its
// stacks, hold none.
func TestNoCoreFile(t *testing.T) {
	if status, _, _ := runWithCoreDumps(t, nil, func(*os.Process) {}, "/bin/sh", "-c", "kill -SEGV $$"); !status.CoreDump() {
		t.Skip("this machine writes no core files")
	}
	for name, login := range secretLogins(t) {
		signals := []syscall.Signal{syscall.SIGQUIT}
		if name == "workloadidentity" {
			signals = append(signals, syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGSYS, syscall.SIGFPE)
		}
		for _, signal := range signals {
			t.Run(fmt.Sprintf("%s/%v", name, signal), func(t *testing.T) {
				asked, dead := make(chan bool), make(chan bool)
				e := newHostileNetwork(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodPost {
						serveLikeEntra(w, r)
						return
					}
					asked <- true
					<-dead
				})
				status, stderr, files := runWithCoreDumps(t, e.env(), func(p *os.Process) {
					select {
					case <-asked:
					case <-time.After(30 * time.Second):
						t.Error("it does not ask")
					}
					p.Signal(signal)
				}, append([]string{"akslogin"}, getTokenArgs(login.args...)...)...)
				close(dead)
				e.wantSecretOnlyAt(t, login.secret, microsoftHost)
				if status.CoreDump() {
					t.Error("its memory was written to a file")
				}
				if slices.ContainsFunc(files, func(name string) bool { return strings.Contains(name, "core") }) {
					t.Errorf("it left %v", files)
				}
				if !status.Signaled() || !strings.Contains(stderr, "goroutine") {
					t.Errorf("it ended with %v and said %.500s", status, stderr)
				}
				for _, secret := range append(strings.Split(login.secret, "."), url.QueryEscape(login.secret)) {
					if len(secret) > 8 && strings.Contains(stderr, secret) {
						t.Errorf("%q is in its last words", secret)
					}
				}
			})
		}
	}
}

// writeRecorder is a program that notes how it was called and in which environment, each run in a
// file of its own, and then does as told.
func writeRecorder(t *testing.T, folder, name, then string) (records string) {
	t.Helper()
	records = filepath.Join(t.TempDir(), "records")
	if err := os.Mkdir(records, 0o700); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\ncat /proc/$$/cmdline >%s/$$.cmdline\ncat /proc/$$/environ >%[1]s/$$.environ\n%s\n", records, then)
	if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return records
}

// readRecords are the words that a recorder noted, of its command lines or its environments.
func readRecords(t *testing.T, records, what string) (words []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(records, "*."+what))
	if err != nil || len(files) == 0 {
		t.Fatalf("it was not called: %v", err)
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

// What this program starts is told no secret, on its command line or in its environment: that is
// this program's own, and nothing is added.
func TestChildProcessesGetNoSecret(t *testing.T) {
	const answer = `echo '{"accessToken":"granted.to.az","token":"granted.to.azd","expires_on":4102444800,"expiresOn":"2099-12-31T00:00:00Z"}'`
	folder := t.TempDir()
	env := []string{"PATH=" + folder + ":/usr/bin:/bin", "BROWSER=" + filepath.Join(folder, "page"), `KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":true}}`}
	s := entratest.New(t)
	registerFixtures(s)
	env = append(env, "HTTPS_PROXY="+s.ProxyURL, "SSL_CERT_FILE="+s.CAFile)
	for name, login := range map[string][]string{
		"az":   {"get-token", "--login", "azurecli", "--tenant-id", tenant},
		"azd":  {"get-token", "--login", "azd", "--tenant-id", tenant},
		"page": {"get-token", "--login", "interactive", "--tenant-id", tenant, "--client-id", token.PublicClientID, "--timeout", "1s"},
	} {
		t.Run(name, func(t *testing.T) {
			records := writeRecorder(t, folder, name, answer)
			got := runProgram(t, env, login...)
			if name != "page" && (got.exit != 0 || !strings.Contains(got.stdout, "granted.to."+name)) {
				t.Errorf("%+v", got)
			}
			for _, variable := range readRecords(t, records, "environ") {
				if !slices.Contains(env, variable) && !strings.HasPrefix(variable, "HOME=") && !strings.HasPrefix(variable, "PATH=") && !strings.HasPrefix(variable, "PWD=") && !slices.Contains(addedVariables, variable) {
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
							t.Errorf("the address in its command line has %s", parameter)
						}
					}
				}
			}
		})
	}
}

// addedVariables is what azidentity adds for azd.
var addedVariables = []string{"NO_COLOR=1"}

// publicParameters are those of RFC 6749, section 4.1.1, RFC 7636 (the challenge, not the verifier)
// and OpenID Connect that a browser is meant to carry.
var publicParameters = []string{"client_id", "code_challenge", "code_challenge_method", "prompt", "redirect_uri", "response_mode", "response_type", "scope", "state", "login_hint", "client_info", "nonce"}

func looksSecret(word string) bool {
	return strings.Contains(word, "eyJ") || strings.Contains(word, "code_verifier") || strings.Contains(word, "secret") || strings.Contains(word, "password")
}
