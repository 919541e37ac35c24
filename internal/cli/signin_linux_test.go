package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/html"
)

// Two programs to be named by $BROWSER: each opens a URL of Entra ID's, signs $SIGNIN_USER in with
// $SIGNIN_PASSWORD, and ends when the program that listens on localhost has answered the redirect,
// with status 1 if it came to something else. With SIGNIN_CANCEL set they press the other button.

// signInTimeout is how long a sign-in may take, however slow the machine.
const signInTimeout = time.Minute

// signIn is the variant without a browser: it sends what one would.
func signIn() { os.Exit(runSignIn(followForm)) }

// chromiumSignIn drives Debian's Chromium.
func chromiumSignIn() { os.Exit(runSignIn(driveChromium)) }

func runSignIn(do func(ctx context.Context, rawURL string) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, signInTimeout)
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
		case resp.StatusCode != http.StatusOK, findElement(page, errorText) != nil:
			return fmt.Errorf("%s answered %s: %s", req.URL.Hostname(), resp.Status, textOf(findElement(page, errorText)))
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

// findElement is the element with an id, or nil.
func findElement(page *html.Node, id string) *html.Node {
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
