package cli

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

// A browserRun is a browser that signs in at s for a program that listens on localhost.
type browserRun struct {
	*exec.Cmd
	redirects chan url.Values // what the redirects brought
	tempDir   string          // the browser's
	output    bytes.Buffer
}

// What there is on localhost for the redirect.
const (
	listening = iota
	absent
	silent // listens, and never answers
)

// startBrowser starts a browser for a sign-in as alice.
func startBrowser(t *testing.T, s *entratest.Server, program string, listener int, env ...string) *browserRun {
	t.Helper()
	run := &browserRun{redirects: make(chan url.Values, 10), tempDir: t.TempDir()}
	ln, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	app := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r) // an icon
			return
		}
		r.ParseForm() // what is broken is not there
		run.redirects <- r.Form
		if listener == silent {
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, "<html><body>You may close this window.</body></html>")
	})}
	if listener == absent {
		ln.Close()
	} else {
		go app.Serve(ln) // until the test ends
		t.Cleanup(func() { app.Close() })
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{
		"client_id": {cliClient}, "response_type": {"code"}, "redirect_uri": {"http://localhost:" + port}, "scope": {entratest.AKSServerID + "/.default openid offline_access profile"},
		"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}, "state": {"the-state"}, "login_hint": {alice},
	}
	run.Cmd = exec.Command(program, "https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize?"+q.Encode())
	run.Env = append(os.Environ(), "HTTPS_PROXY="+s.ProxyURL, "SSL_CERT_FILE="+s.CAFile, "TMPDIR="+run.tempDir, "SIGNIN_PASSWORD="+password, "FAKE_LOG=")
	run.Env = append(run.Env, env...)
	run.Stdout, run.Stderr = &run.output, &run.output
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	return run
}

// finish waits for the browser and fails the test if it leaves anything behind.
func (run *browserRun) finish(t *testing.T) (status int) {
	t.Helper()
	err := run.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	left, err := os.ReadDir(run.tempDir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if left, err := filepath.Glob(fmt.Sprintf("/tmp/akslogin-chromium-%d-*", run.Process.Pid)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// What it starts has its environment, or that of a folder with its process ID.
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range environments {
		if environ, err := os.ReadFile(file); err == nil && (bytes.Contains(environ, []byte(run.tempDir)) || bytes.Contains(environ, fmt.Appendf(nil, "/akslogin-chromium-%d-", run.Process.Pid))) {
			t.Errorf("%s is still there", filepath.Dir(file))
		}
	}
	return run.ProcessState.ExitCode()
}

func TestSignInBrowsers(t *testing.T) {
	for _, program := range []string{"signin", "chromium-signin"} {
		t.Run(program, func(t *testing.T) {
			if program == "chromium-signin" {
				if _, err := exec.LookPath("chromedriver"); err != nil {
					skipUnlessRequired(t, "no Chromium here (apt-get install chromium chromium-driver): "+err.Error())
				}
			}
			s := entratest.New(t)
			registerFixtures(s)
			for name, test := range map[string]struct {
				env      []string
				listener int
				status   int
				said     string
				answer   string // a parameter of the redirect
				form     bool   // the form's, whatever sends it: not tried with every browser
			}{
				"signed in":      {answer: "code"},
				"somebody else":  {form: true, env: []string{"SIGNIN_USER=" + bob, "SIGNIN_PASSWORD=" + otherPassword}, answer: "code"},
				"wrong password": {env: []string{"SIGNIN_PASSWORD=wrong"}, status: 1, said: "Your account or password is incorrect."},
				"cancelled":      {form: true, env: []string{"SIGNIN_CANCEL=1"}, answer: "error"},
				"nobody listens": {listener: absent, form: true, status: 1, said: "sign-in: "},
			} {
				if test.form && program == "chromium-signin" {
					continue
				}
				t.Run(name, func(t *testing.T) {
					before := s.AuthorizeRequests()
					run := startBrowser(t, s, program, test.listener, test.env...)
					status := run.finish(t)
					if status != test.status || !strings.Contains(run.output.String(), test.said) {
						t.Errorf("status %d: %s", status, run.output.String())
					}
					if s.AuthorizeRequests() != before+1 {
						t.Errorf("%d sign-ins", s.AuthorizeRequests()-before)
					}
					if len(run.redirects) != min(len(test.answer), 1) {
						t.Fatalf("%d answers", len(run.redirects))
					}
					if test.answer == "" {
						return
					}
					if answer := <-run.redirects; answer.Get(test.answer) == "" || answer.Get("state") != "the-state" {
						t.Errorf("the redirect brought %v", answer)
					}
				})
			}
			// Nobody answers the redirect, and the browser is ended.
			t.Run("ended", func(t *testing.T) {
				run := startBrowser(t, s, program, silent)
				select {
				case <-run.redirects:
				case <-time.After(time.Minute):
					t.Error("it was not there")
				}
				if err := run.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				if status := run.finish(t); status != 1 {
					t.Errorf("status %d", status)
				}
			})
		})
	}
}
