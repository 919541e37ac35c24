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

// driveChromium starts chromedriver in a folder of its own and ends, with all that it started, when
// it returns.
func driveChromium(ctx context.Context, rawURL string) (err error) {
	// What loses its parent becomes ours, so that nothing escapes.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	// In /tmp, whatever TMPDIR is: the name of a socket in it must be shorter than 108 bytes, or
	// Chromium does not start.
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
	if err := w.begin(folder); err != nil {
		return err
	}
	defer w.do(http.MethodDelete, "", nil, nil)
	return w.signIn(rawURL)
}

var startedOnPort = regexp.MustCompile(`started successfully on port (\d+)`)

// readPort reads where chromedriver listens, and then whatever else it says.
func readPort(out io.Reader) (string, error) {
	var said []byte
	buffer := make([]byte, 4096)
	for {
		n, err := out.Read(buffer)
		said = append(said, buffer[:n]...)
		if m := startedOnPort.FindSubmatch(said); m != nil {
			go io.Copy(io.Discard, out)
			return string(m[1]), nil
		}
		if err != nil {
			return "", fmt.Errorf("chromedriver: %w: %s", err, said)
		}
	}
}

// killDescendants kills all processes below this one until there are none.
func killDescendants() {
	for range 1000 {
		for _, pid := range descendants(os.Getpid()) {
			syscall.Kill(pid, syscall.SIGKILL) // fails only when it has ended
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

// descendants are the processes that a process started, those that they started, and so on.
func descendants(pid int) (all []int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is well-formed
	for _, thread := range threads {
		children, _ := os.ReadFile(thread) // none when it has ended
		for _, word := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

// webDriver is a session of W3C WebDriver.
type webDriver struct {
	ctx context.Context
	url string
}

// do sends a command and reads the value of its answer.
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
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var failed struct{ Error, Message string }
		if err := json.Unmarshal(answer.Value, &failed); err != nil {
			return err
		}
		return fmt.Errorf("%s: %s", failed.Error, failed.Message)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, value)
}

// begin starts Chromium. It reaches Entra ID through the proxy of this program's environment,
// localhost directly, and nothing else.
func (w *webDriver) begin(folder string) error {
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-breakpad", "--disable-dev-shm-usage", "--user-data-dir=" + filepath.Join(folder, "profile"),
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
	}
	if proxy, err := url.Parse(os.Getenv("HTTPS_PROXY")); err == nil && proxy.Host != "" {
		script := `function FindProxyForURL(url, host) { return /^login\./.test(host) ? "PROXY ` + proxy.Host + `" : "DIRECT"; }`
		args = append(args, "--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,"+base64.StdEncoding.EncodeToString([]byte(script)))
	}
	var session struct{ SessionID string }
	err := w.do(http.MethodPost, "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "acceptInsecureCerts": true, "goog:chromeOptions": map[string]any{"args": args},
	}}}, &session)
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
	for _, field := range []struct{ id, text string }{{userField, os.Getenv("SIGNIN_USER")}, {passwordField, os.Getenv("SIGNIN_PASSWORD")}} {
		if field.text == "" {
			continue
		}
		if err := w.elementCommand(field.id, "/clear", map[string]any{}); err != nil {
			return err
		}
		if err := w.elementCommand(field.id, "/value", map[string]any{"text": field.text}); err != nil {
			return err
		}
	}
	if err := w.elementCommand(button, "/click", map[string]any{}); err != nil {
		return err
	}
	return w.waitForRedirect()
}

// elementCommand sends a command to the element with an id.
func (w *webDriver) elementCommand(id, command string, body any) error {
	var found map[string]string
	if err := w.do(http.MethodPost, "/element", map[string]string{"using": "css selector", "value": "#" + id}, &found); err != nil {
		return err
	}
	for _, element := range found {
		return w.do(http.MethodPost, "/element/"+element+command, body, nil)
	}
	return fmt.Errorf("no element %q", id)
}

// waitForRedirect waits until a page of localhost has come whole. Entra ID's form with an error in
// it ends the waiting.
func (w *webDriver) waitForRedirect() error {
	const look = `const e = document.getElementById("` + errorText + `"); return [location.href, document.readyState, e ? e.innerText : "", document.title];`
	for {
		var seen []string
		if err := w.do(http.MethodPost, "/execute/sync", map[string]any{"script": look, "args": []any{}}, &seen); err != nil {
			return err
		}
		switch {
		case seen[1] != "complete":
		case strings.HasPrefix(seen[0], "http://localhost:"):
			return nil
		case strings.HasPrefix(seen[0], "chrome-error:"):
			return errors.New("the redirect was not answered")
		case seen[2] != "":
			return fmt.Errorf("%s", seen[2])
		}
		select {
		case <-w.ctx.Done():
			return fmt.Errorf("%w at %s", w.ctx.Err(), seen[0])
		case <-time.After(20 * time.Millisecond):
		}
	}
}
