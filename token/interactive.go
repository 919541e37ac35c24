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
	"github.com/pkg/browser"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// interactive lets a person sign in with a browser on this machine (authorization code with PKCE,
// RFC 7636 and RFC 8252).
var interactive = Method{
	Name:          "interactive",
	About:         "a person, in a browser on this machine",
	Required:      []string{"client-id", "tenant-id"},
	Optional:      slices.Concat(entraFlags, []string{"login-hint", "redirect-url", "prompt"}, popFlags),
	MissingHint:   "for AKS the client ID is " + PublicClientID + " and the tenant the cluster's",
	Interactive:   true,
	SharedTenants: sharedTenants,
	SealedWith:    "a key of the user's own; the refresh token likewise",
	Stanza: Stanza{
		Flags:     slices.Concat(accountFlags, popFlags, []string{"redirect-url", "login-hint", "prompt"}),
		Inherited: slices.Concat(accountFlags, popFlags, []string{"redirect-url", "login-hint", "prompt"}),
		Required:  identityFlags,
	},
	Check: Request.checkRedirect,
	Open:  openInteractive,
}

func openInteractive(r Request, opts Options, client entra.Client) (Login, error) {
	askInBrowser := func(
		ctx context.Context,
		a attempt,
		client public.Client,
		scopes []string,
	) (public.AuthResult, error) {
		options := []public.AcquireInteractiveOption{
			public.WithLoginHint(r.LoginHint),
			public.WithRedirectURI(r.RedirectURL),
			public.WithOpenURL(func(address string) error { return a.openSignInPage(address) }),
		}
		if a.proofKey != nil {
			options = append(options, public.WithAuthenticationScheme(a.proofKey))
		}
		return client.AcquireTokenInteractive(ctx, scopes, options...)
	}
	return userLogin(r, opts, client, []string{"hint=" + r.LoginHint}, askInBrowser)
}

// checkRedirect rejects a redirect URL other than http://localhost:PORT or a loopback address,
// where this program waits for the browser.
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
		"--redirect-url is %q: it must be http://localhost:PORT, where this program listens",
		redact.URL(r.RedirectURL),
	)
}

// openSignInPage opens the sign-in page in a browser. It also prints the address, because there is
// no way to know whether a window appeared. The browser is the one that $BROWSER names, as other
// programs read it (commands separated as in PATH, with %s for the address), else the system's.
//
// It refuses an address that is not the authority's: a person would enter a password there as well,
// and a browser accepts more than https addresses.
func (a attempt) openSignInPage(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || !a.IsAuthorityHost(u.Host) {
		return entra.NewPermanentError(
			"discovery at %s named a sign-in page elsewhere, and nobody is sent there", a.Authority,
		)
	}
	const format = "To sign in, use the browser that is opened, or open this address on this machine:\n%s\n"
	if _, err := fmt.Fprintf(a.Prompt, format, address); err != nil {
		return fmt.Errorf("show the address: %w", err)
	}
	for _, command := range filepath.SplitList(a.Getenv("BROWSER")) {
		args := browserArgs(command, address)
		if len(args) == 0 {
			continue
		}
		// No CommandContext: the browser outlives this program, since it may have other windows.
		cmd := exec.Command(args[0], args[1:]...)
		if err := cmd.Start(); err != nil {
			a.Log.Debug("the browser that $BROWSER names does not start", "error", err)
			continue
		}
		go cmd.Wait()
		return nil
	}
	browser.Stdout, browser.Stderr = io.Discard, io.Discard // stdout is for the credential
	// In the background, because some browsers block until they are closed.
	go func() {
		if err := browser.OpenURL(address); err != nil {
			a.Log.Debug("no browser could be opened", "error", err)
		}
	}()
	return nil
}

// browserArgs splits a command of $BROWSER into program and arguments, and puts address in place of
// %s or at the end. The result is empty for a blank command.
func browserArgs(command, address string) []string {
	args := strings.Fields(command)
	if _, err := exec.LookPath(command); err == nil { // a path may have blanks in it
		args = []string{command}
	}
	if len(args) == 0 {
		return nil
	}
	if !strings.Contains(command, "%s") {
		args = append(args, "%s")
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "%s", address)
	}
	return args
}
