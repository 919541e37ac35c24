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

// A browserRun is a run of a browser that signs in for a program listening on localhost.
type browserRun struct {
	*exec.Cmd
	redirects chan url.Values // the parameters of the redirects to localhost
	tempDir   string          // the browser's TMPDIR
	output    bytes.Buffer
}

// The kinds of listeners on localhost.
const (
	listening = iota
	absent
	silent // accepts connections and never answers
)

// startBrowser starts a browser for a sign-in as alice.
func startBrowser(
	t *testing.T, s *entratest.Server, program string, listener int, env ...string,
) *browserRun {
	t.Helper()
	run := &browserRun{redirects: make(chan url.Values, 10), tempDir: t.TempDir()}
	ln, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	app := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r) // favicon.ico
			return
		}
		r.ParseForm() // invalid parameters count as missing
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
		"client_id":             {cliClient},
		"response_type":         {"code"},
		"redirect_uri":          {"http://localhost:" + port},
		"scope":                 {entratest.AKSServerID + "/.default" + userScopes},
		"code_challenge":        {strings.Repeat("a", 43)},
		"code_challenge_method": {"S256"},
		"state":                 {"the-state"},
		"login_hint":            {alice},
	}
	const authorize = "https://" + entraHost + "/organizations/oauth2/v2.0/authorize?"
	run.Cmd = exec.Command(program, authorize+q.Encode())
	run.Env = append(os.Environ(),
		"HTTPS_PROXY="+s.ProxyURL, "SSL_CERT_FILE="+s.CAFile, "TMPDIR="+run.tempDir,
		"SIGNIN_PASSWORD="+password, "FAKE_LOG=")
	run.Env = append(run.Env, env...)
	run.Stdout, run.Stderr = &run.output, &run.output
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	return run
}

// finish waits for the browser, and fails the test if it leaves files or processes behind.
func (run *browserRun) finish(t *testing.T) (status int) {
	t.Helper()
	err := run.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(run.tempDir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	// driveChromium's folder has the browser's process ID in its name.
	chromiumDir := fmt.Sprintf("/tmp/akslogin-chromium-%d-", run.Process.Pid)
	if files, err := filepath.Glob(chromiumDir + "*"); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	// The browser's descendants have one of its two folders in their environment.
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range environments {
		environ, _ := os.ReadFile(file) // fails if the process has ended
		isDescendant := strings.Contains(string(environ), run.tempDir) ||
			strings.Contains(string(environ), chromiumDir)
		if isDescendant {
			t.Errorf("%s is still running", filepath.Dir(file))
		}
	}
	return run.ProcessState.ExitCode()
}

// signInTest is a sign-in by a browser.
type signInTest struct {
	env       []string
	listener  int
	status    int
	output    string
	parameter string // of the redirect
	formOnly  bool   // depends on Entra ID's form only: not repeated with Chromium
}

var signInTests = map[string]signInTest{
	"signed in":      {parameter: "code"},
	"other user":     {formOnly: true, env: []string{"SIGNIN_USER=" + bob, "SIGNIN_PASSWORD=" + otherPassword}, parameter: "code"},
	"wrong password": {env: []string{"SIGNIN_PASSWORD=wrong"}, status: 1, output: "Your account or password is incorrect."},
	"canceled":       {formOnly: true, env: []string{"SIGNIN_CANCEL=1"}, parameter: "error"},
	"no listener":    {listener: absent, formOnly: true, status: 1, output: "sign-in: "},
}

func (test signInTest) run(t *testing.T, s *entratest.Server, program string) {
	before := s.AuthorizeRequests()
	run := startBrowser(t, s, program, test.listener, test.env...)
	status := run.finish(t)
	output := run.output.String()
	if status != test.status || !strings.Contains(output, test.output) {
		t.Errorf("status %d: %s", status, output)
	}
	if s.AuthorizeRequests() != before+1 {
		t.Errorf("%d sign-ins", s.AuthorizeRequests()-before)
	}
	if len(run.redirects) != min(len(test.parameter), 1) {
		t.Fatalf("%d redirects", len(run.redirects))
	}
	if test.parameter == "" {
		return
	}
	got := <-run.redirects
	if got.Get(test.parameter) == "" || got.Get("state") != "the-state" {
		t.Errorf("the redirect has %v", got)
	}
}

func TestSignInBrowsers(t *testing.T) {
	skipIfShort(t, "a real browser")
	for _, program := range []string{"signin", "chromium-signin"} {
		t.Run(program, func(t *testing.T) {
			if program == "chromium-signin" {
				if _, err := exec.LookPath("chromedriver"); err != nil {
					skipUnlessRequired(t, "no chromedriver (apt-get install chromium-driver)")
				}
			}
			s := entratest.New(t)
			registerFixtures(s)
			for name, test := range signInTests {
				if test.formOnly && program == "chromium-signin" {
					continue
				}
				t.Run(name, func(t *testing.T) { test.run(t, s, program) })
			}
			t.Run("terminated while the redirect is unanswered", func(t *testing.T) {
				run := startBrowser(t, s, program, silent)
				select {
				case <-run.redirects:
				case <-time.After(time.Minute):
					t.Error("no redirect")
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
