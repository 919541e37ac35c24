package main

import (
	"bytes"
	"cmp"
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
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/sys/unix"
)

// Two programs to be named by $BROWSER: each opens a URL of Entra ID's, signs $SIGNIN_USER in with $SIGNIN_PASSWORD, and ends when the
// program that listens on localhost has answered the redirect, with status 1 if it came to something else. With SIGNIN_CANCEL set they
// press the other button.

// inTime is how long a sign-in may take, however slow the machine.
const inTime = time.Minute

// signIn is the variant without a browser: it sends what one would.
func signIn() { os.Exit(runSignIn(followForm)) }

// chromiumSignIn drives Debian's Chromium.
func chromiumSignIn() { os.Exit(runSignIn(driveChromium)) }

func runSignIn(do func(ctx context.Context, rawURL string) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, inTime)
	defer cancel()
	if file := os.Getenv("FAKE_LOG"); file != "" {
		appendLine(file, fmt.Sprintf("browser %d", os.Getpid()))
	}
	if err := do(ctx, os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, "sign-in:", err)
		return 1
	}
	return 0
}

// The parts of Entra ID's form, by id.
const (
	userField     = "username"
	passwordField = "password"
	cancelButton  = "cancel"
	submitButton  = "signin"
	errorText     = "error"
)

// followForm sends what a browser would until the program on localhost has answered.
func followForm(ctx context.Context, rawURL string) error {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	method, form := http.MethodGet, url.Values(nil)
	for range 5 {
		req, err := http.NewRequestWithContext(ctx, method, rawURL, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		page, err := html.Parse(resp.Body)
		resp.Body.Close()
		switch {
		case err != nil:
			return err
		case req.URL.Hostname() == "localhost" && resp.StatusCode == http.StatusOK:
			return nil
		case resp.StatusCode == http.StatusFound:
			method, rawURL, form = http.MethodGet, resp.Header.Get("Location"), nil
			continue
		case resp.StatusCode != http.StatusOK, find(page, errorText) != nil:
			return fmt.Errorf("%s answered %s: %s", req.URL.Hostname(), resp.Status, textOf(find(page, errorText)))
		}
		var action string
		if action, form, err = fillForm(page); err != nil {
			return err
		}
		target, err := req.URL.Parse(action)
		if err != nil {
			return err
		}
		method, rawURL = http.MethodPost, target.String()
	}
	return errors.New("it leads from page to page")
}

// fillForm reads the form of a page and fills in who signs in, if it asks for that.
func fillForm(page *html.Node) (action string, form url.Values, err error) {
	button := submitButton
	if os.Getenv("SIGNIN_CANCEL") != "" {
		button = cancelButton
	}
	form = url.Values{}
	for n := range page.Descendants() {
		switch {
		case n.Data == "form":
			action = attribute(n, "action")
		case n.Data == "input" || n.Data == "button" && attribute(n, "id") == button:
			if name := attribute(n, "name"); name != "" {
				form.Set(name, attribute(n, "value"))
			}
		}
		switch attribute(n, "id") {
		case userField:
			form.Set(attribute(n, "name"), cmp.Or(os.Getenv("SIGNIN_USER"), attribute(n, "value")))
		case passwordField:
			form.Set(attribute(n, "name"), os.Getenv("SIGNIN_PASSWORD"))
		}
	}
	if action == "" {
		return "", nil, fmt.Errorf("there is no form: %s", textOf(page))
	}
	return action, form, nil
}

// find is the element with an id, or nil.
func find(page *html.Node, id string) *html.Node {
	for n := range page.Descendants() {
		if attribute(n, "id") == id {
			return n
		}
	}
	return nil
}

func attribute(n *html.Node, name string) string {
	if n == nil {
		return ""
	}
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
	if i < 0 {
		return ""
	}
	return n.Attr[i].Val
}

func textOf(n *html.Node) string {
	var words []string
	if n != nil {
		for c := range n.Descendants() {
			if c.Type == html.TextNode {
				words = append(words, strings.Fields(c.Data)...)
			}
		}
	}
	return strings.Join(words, " ")
}

// driveChromium starts chromedriver in a folder of its own and ends, with all that it started, when it returns.
func driveChromium(ctx context.Context, rawURL string) (err error) {
	// What loses its parent becomes ours, so that nothing escapes.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	// In /tmp, whatever TMPDIR is: the name of a socket in it must be shorter than 108 bytes, or Chromium does not start.
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
	defer endDescendants()
	port, err := portOf(out)
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

// portOf reads where chromedriver listens, and then whatever else it says.
func portOf(out io.Reader) (string, error) {
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

// endDescendants kills all processes below this one until there are none.
func endDescendants() {
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

// begin starts Chromium. It reaches Entra ID through the proxy of this program's environment, localhost directly, and nothing else.
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
		if err := w.onElement(field.id, "/clear", map[string]any{}); err != nil {
			return err
		}
		if err := w.onElement(field.id, "/value", map[string]any{"text": field.text}); err != nil {
			return err
		}
	}
	if err := w.onElement(button, "/click", map[string]any{}); err != nil {
		return err
	}
	return w.awaitAnswer()
}

// onElement sends a command to the element with an id.
func (w *webDriver) onElement(id, command string, body any) error {
	var found map[string]string
	if err := w.do(http.MethodPost, "/element", map[string]string{"using": "css selector", "value": "#" + id}, &found); err != nil {
		return err
	}
	for _, element := range found {
		return w.do(http.MethodPost, "/element/"+element+command, body, nil)
	}
	return fmt.Errorf("no element %q", id)
}

// awaitAnswer waits until a page of localhost has come whole. Entra ID's form with an error in it ends the waiting.
func (w *webDriver) awaitAnswer() error {
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
