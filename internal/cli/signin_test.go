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

// signin and chromium-signin are browsers for $BROWSER. They open a URL of Entra ID and sign in as
// $SIGNIN_USER with $SIGNIN_PASSWORD, or press the cancel button if SIGNIN_CANCEL is set. They exit
// with status 0 when the program that listens on localhost has answered the redirect, and with 1 on
// any other outcome.

// signInTimeout bounds a sign-in, even on a slow machine.
const signInTimeout = time.Minute

// signIn is the program signin: it sends a browser's requests itself.
func signIn() { os.Exit(runSignIn(followForm)) }

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

// The IDs of the elements in Entra ID's form.
const (
	userField     = "username"
	passwordField = "password"
	cancelButton  = "cancel"
	submitButton  = "signin"
	errorText     = "error"
)

// followForm sends a browser's requests until the program on localhost has answered.
func followForm(ctx context.Context, rawURL string) error {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	method, form := http.MethodGet, url.Values(nil)
	for range 5 {
		body := strings.NewReader(form.Encode())
		req, err := http.NewRequestWithContext(ctx, method, rawURL, body)
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
			return fmt.Errorf("%s answered %s: %s",
				req.URL.Hostname(), resp.Status, textOf(findElement(page, errorText)))
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
	return errors.New("too many pages")
}

// fillForm reads the form of a page, and fills in its fields for the user name and the password.
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
		return "", nil, fmt.Errorf("the page has no form: %s", textOf(page))
	}
	return action, form, nil
}

// findElement returns the element with an ID, or nil.
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
