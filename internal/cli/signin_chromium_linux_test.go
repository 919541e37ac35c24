package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// chromiumSignIn is the program chromium-signin: it drives Debian's Chromium.
func chromiumSignIn() { os.Exit(runSignIn(driveChromium)) }

// driveChromium signs in with Chromium, driven by chromedriver in a temporary folder. All processes
// that it starts have ended when it returns.
func driveChromium(ctx context.Context, rawURL string) (err error) {
	// Orphaned descendants become children of this process, so that killDescendants finds them.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	// The folder is in /tmp even if TMPDIR is set: Chromium does not start unless the path of its
	// socket is shorter than 108 bytes.
	folder, err := os.MkdirTemp("/tmp", fmt.Sprintf("akslogin-chromium-%d-", os.Getpid()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	driver := exec.Command("chromedriver", "--port=0")
	driver.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(strings.ToUpper(v), "HTTPS_PROXY=") || strings.HasPrefix(v, "XDG_")
	}), "TMPDIR="+folder, "HOME="+folder)
	driver.Dir = folder
	out, err := driver.StdoutPipe()
	if err != nil {
		return err
	}
	if err := driver.Start(); err != nil {
		return err
	}
	defer killDescendants()
	port, err := readPort(out)
	if err != nil {
		return err
	}
	w := webDriver{ctx, "http://127.0.0.1:" + port}
	if err := w.startSession(folder); err != nil {
		return err
	}
	defer w.do(http.MethodDelete, "", nil, nil)
	return w.signIn(rawURL)
}

var startedOnPort = regexp.MustCompile(`started successfully on port (\d+)`)

// readPort returns the port in chromedriver's output, and discards the rest of the output in the
// background.
func readPort(out io.Reader) (string, error) {
	var output []byte
	buffer := make([]byte, 4096)
	for {
		n, err := out.Read(buffer)
		output = append(output, buffer[:n]...)
		if m := startedOnPort.FindSubmatch(output); m != nil {
			go io.Copy(io.Discard, out)
			return string(m[1]), nil
		}
		if err != nil {
			return "", fmt.Errorf("chromedriver: %w: %s", err, output)
		}
	}
}

// killDescendants kills all descendants of this process, and waits until there are none.
func killDescendants() {
	for range 1000 {
		for _, pid := range descendants(os.Getpid()) {
			syscall.Kill(pid, syscall.SIGKILL) // fails only if the process has just ended
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if errors.Is(err, syscall.ECHILD) {
				return
			}
			if pid <= 0 {
				break
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// descendants returns the IDs of a process's children, of their children, and so on.
func descendants(pid int) (all []int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // a valid pattern
	for _, thread := range threads {
		children, _ := os.ReadFile(thread) // fails if the thread has ended
		for _, word := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

// webDriver is a W3C WebDriver session.
type webDriver struct {
	ctx context.Context
	url string
}

// do sends a command, and stores the value in its response in value unless that is nil.
func (w *webDriver) do(method, command string, body, value any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(w.ctx, method, w.url+command, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var response struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&response); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var failure struct{ Error, Message string }
		if err := json.Unmarshal(response.Value, &failure); err != nil {
			return err
		}
		return fmt.Errorf("%s: %s", failure.Error, failure.Message)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(response.Value, value)
}

// startSession starts Chromium. Chromium can reach only Entra ID, through the proxy in
// $HTTPS_PROXY, and localhost.
func (w *webDriver) startSession(folder string) error {
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-breakpad", "--disable-dev-shm-usage",
		"--user-data-dir=" + filepath.Join(folder, "profile"),
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
	}
	if proxy, err := url.Parse(os.Getenv("HTTPS_PROXY")); err == nil && proxy.Host != "" {
		script := fmt.Sprintf(`function FindProxyForURL(url, host) {
			return /^login\./.test(host) ? "PROXY %s" : "DIRECT";
		}`, proxy.Host)
		args = append(args, "--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,"+
			base64.StdEncoding.EncodeToString([]byte(script)))
	}
	capabilities := map[string]any{
		"browserName":         "chrome",
		"acceptInsecureCerts": true,
		"goog:chromeOptions":  map[string]any{"args": args},
	}
	body := map[string]any{"capabilities": map[string]any{"alwaysMatch": capabilities}}
	var session struct{ SessionID string }
	err := w.do(http.MethodPost, "/session", body, &session)
	w.url += "/session/" + session.SessionID
	return err
}

func (w *webDriver) signIn(rawURL string) error {
	if err := w.do(http.MethodPost, "/url", map[string]string{"url": rawURL}, nil); err != nil {
		return err
	}
	button := submitButton
	if os.Getenv("SIGNIN_CANCEL") != "" {
		button = cancelButton
	}
	for id, variable := range map[string]string{
		userField: "SIGNIN_USER", passwordField: "SIGNIN_PASSWORD",
	} {
		text := os.Getenv(variable)
		if text == "" {
			continue
		}
		if err := w.elementCommand(id, "/clear", map[string]any{}); err != nil {
			return err
		}
		if err := w.elementCommand(id, "/value", map[string]any{"text": text}); err != nil {
			return err
		}
	}
	if err := w.elementCommand(button, "/click", map[string]any{}); err != nil {
		return err
	}
	return w.waitForRedirect()
}

// elementCommand sends a command to the element with an ID.
func (w *webDriver) elementCommand(id, command string, body any) error {
	selector := map[string]string{"using": "css selector", "value": "#" + id}
	var references map[string]string // with a single value
	if err := w.do(http.MethodPost, "/element", selector, &references); err != nil {
		return err
	}
	for _, reference := range references {
		return w.do(http.MethodPost, "/element/"+reference+command, body, nil)
	}
	return fmt.Errorf("no element %q", id)
}

// waitForRedirect waits until a page of localhost is loaded. An error in Entra ID's form is an
// error.
func (w *webDriver) waitForRedirect() error {
	const script = `const e = document.getElementById("` + errorText + `");
		return [location.href, document.readyState, e ? e.innerText : ""];`
	for {
		var result []string
		body := map[string]any{"script": script, "args": []any{}}
		if err := w.do(http.MethodPost, "/execute/sync", body, &result); err != nil {
			return err
		}
		location, state, formError := result[0], result[1], result[2]
		switch {
		case state != "complete":
		case strings.HasPrefix(location, "http://localhost:"):
			return nil
		case strings.HasPrefix(location, "chrome-error:"):
			return errors.New("the redirect was not answered")
		case formError != "":
			return errors.New(formError)
		}
		select {
		case <-w.ctx.Done():
			return fmt.Errorf("%w at %s", w.ctx.Err(), location)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
