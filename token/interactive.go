package token

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
	"github.com/pkg/browser"
)

// interactive lets a person sign in in a browser on this machine (authorisation code with PKCE, RFC
// 7636 and RFC 8252).
var interactive = Method{
	Name:        "interactive",
	About:       "a person, in a browser on this machine",
	Required:    []string{"client-id", "tenant-id"},
	Optional:    slices.Concat(entraFlags, []string{"login-hint", "redirect-url"}, popFlags),
	MissingHint: "for AKS the client ID is " + PublicClientID + " and the tenant the cluster's",
	Interactive: true,
	SealedWith:  "a key of the user's own; the refresh token likewise",
	Stanza: Stanza{
		Flags:     slices.Concat(accountFlags, popFlags, []string{"redirect-url", "login-hint"}),
		Inherited: slices.Concat(accountFlags, popFlags, []string{"redirect-url", "login-hint"}),
		Required:  identityFlags,
	},
	Check: Request.checkRedirect,
	Open:  openInteractive,
}

func openInteractive(r Request, w Options, wr entra.Client) (Login, error) {
	return userLogin(
		r,
		w,
		wr,
		[]string{"hint=" + r.LoginHint},
		func(ctx context.Context, a attempt, client public.Client, scopes []string) (public.AuthResult, error) {
			options := []public.AcquireInteractiveOption{
				public.WithLoginHint(r.LoginHint), public.WithRedirectURI(r.RedirectURL),
				public.WithOpenURL(func(address string) error { return a.openSignInPage(address) }),
			}
			if a.proofKey != nil {
				options = append(options, public.WithAuthenticationScheme(a.proofKey))
			}
			return client.AcquireTokenInteractive(ctx, scopes, options...)
		},
	)
}

// checkRedirect refuses what the browser would not come back to: it is this machine's
// http://localhost, and only the port can be chosen.
func (r Request) checkRedirect() error {
	if r.RedirectURL == "" {
		return nil
	}
	u, err := url.Parse(r.RedirectURL)
	if err == nil && u.Scheme == "http" &&
		(u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()) {
		return nil
	}
	return usageErrorf(
		"--redirect-url is %q: it must be http://localhost:PORT, which this program listens at",
		redact.URL(r.RedirectURL),
	)
}

// openSignInPage shows the sign-in page: in the browser that $BROWSER names, as other programs read
// it (commands separated as in PATH, with %s for the address), else in the system's. The address is
// told as well, since nobody knows whether a window came up.
//
// The page is the authority's: a person would enter his password at any other as well, and a
// browser takes more than addresses.
func (a attempt) openSignInPage(address string) error {
	if u, err := url.Parse(
		address,
	); err != nil || u.Scheme != "https" || u.User != nil ||
		!a.IsAuthorityHost(u.Host) {
		return entra.NewPermanentError(
			"discovery at %s named a sign-in page elsewhere, and nobody is sent there",
			a.Authority,
		)
	}
	if _, err := fmt.Fprintf(
		a.Prompt,
		"To sign in, use the browser that is opened, or open this address on this machine:\n%s\n",
		address,
	); err != nil {
		return fmt.Errorf("show the address: %w", err)
	}
	for _, command := range filepath.SplitList(a.Getenv("BROWSER")) {
		words := strings.Fields(command)
		if _, err := exec.LookPath(command); err == nil { // there may be blanks in a path
			words = []string{command}
		}
		if len(words) == 0 {
			continue
		}
		if !strings.Contains(command, "%s") {
			words = append(words, "%s")
		}
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "%s", address)
		}
		cmd := exec.Command(
			words[0],
			words[1:]...) // it lives on, as other windows may be open in it
		if err := cmd.Start(); err != nil {
			a.Log.Debug("the browser that $BROWSER names does not start", "error", err)
			continue
		}
		go cmd.Wait()
		return nil
	}
	browser.Stdout, browser.Stderr = io.Discard, io.Discard // standard output is the client's
	go func() {                                             // some browsers return when they are closed
		if err := browser.OpenURL(address); err != nil {
			a.Log.Debug("no browser could be opened", "error", err)
		}
	}()
	return nil
}
