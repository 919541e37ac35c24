package entratest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
	"github.com/akslogin/akslogin/internal/entratest"
)

// A page is the response that a browser gets: a sign-in page, or a redirect.
type page struct {
	status   int
	location string     // where a redirect leads
	action   string     // the absolute URL that the form is sent to; empty without a form
	error    string     // the error message on the page
	inputs   url.Values // the values of the form's inputs
	raw      string
}

var (
	formAction = regexp.MustCompile(`<form id="form" method="post" action="([^"]*)"`)
	formInput  = regexp.MustCompile(`<input [^>]*name="([^"]*)"[^>]* value="([^"]*)"`)
	pageError  = regexp.MustCompile(`<p id="error" role="alert" data-code="[0-9]*">([^<]*)`)
)

// openPage fetches a page as a browser does, or sends form to it if form is not nil.
func openPage(c *http.Client, address string, form url.Values) (page, error) {
	req, err := http.NewRequest("GET", address, nil)
	if form != nil {
		req, err = http.NewRequest("POST", address, strings.NewReader(form.Encode()))
	}
	if err != nil {
		return page{}, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.Do(req)
	if err != nil {
		return page{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return page{}, err
	}
	return parsePage(address, resp, string(body)), nil
}

func parsePage(address string, resp *http.Response, body string) page {
	p := page{
		status: resp.StatusCode, location: resp.Header.Get("Location"),
		inputs: url.Values{}, raw: body,
	}
	submatch := func(re *regexp.Regexp) string {
		if m := re.FindStringSubmatch(body); m != nil {
			return html.UnescapeString(m[1])
		}
		return ""
	}
	p.action, p.error = submatch(formAction), submatch(pageError)
	for _, m := range formInput.FindAllStringSubmatch(body, -1) {
		p.inputs.Set(m[1], html.UnescapeString(m[2]))
	}
	if base, err := url.Parse(address); err == nil && p.action != "" {
		if target, err := base.Parse(p.action); err == nil {
			p.action = target.String()
		}
	}
	return p
}

// signIn opens the sign-in page at address and submits its form. action is the button: "signin" or
// "cancel". It returns the page after that, which redirects to the client or posts to it. Without a
// form it returns the first page.
func signIn(c *http.Client, address, action, name, password string) (page, error) {
	form, err := openPage(c, address, nil)
	if err != nil || form.action == "" {
		return form, err
	}
	return submitForm(c, form, action, name, password)
}

func submitForm(c *http.Client, form page, action, name, password string) (page, error) {
	return openPage(c, form.action, url.Values{
		"flow": form.inputs["flow"], "login": {name}, "passwd": {password}, "action": {action},
	})
}

// browser returns a function for public.WithOpenURL. It signs in and delivers the response to the
// client, which MSAL asks to have posted (response_mode=form_post).
func browser(t *testing.T, c *http.Client, action string) func(address string) error {
	return func(address string) error {
		go func() {
			p, err := signIn(c, address, action, alice, alicePassword)
			if err == nil && p.action != "" {
				p, err = openPage(c, p.action, p.inputs)
			}
			if err != nil || p.status != 200 {
				t.Errorf("%v %+v", err, p)
			}
		}()
		return nil
	}
}

func TestAuthorizationCode(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	app, err := public.New(aksClient, public.WithAuthority(s.URL+"/"+tenantID),
		public.WithInstanceDiscovery(false), public.WithHTTPClient(c))
	if err != nil {
		t.Fatal(err)
	}
	interactive := func(action string) (public.AuthResult, error) {
		return app.AcquireTokenInteractive(testContext(t), []string{aksScope},
			public.WithLoginHint(alice), public.WithOpenURL(browser(t, c, action)))
	}
	got, err := interactive("signin")
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, verifiedClaims(t, s, got.AccessToken), map[string]any{
		"upn": alice, "scp": "user_impersonation",
	})
	if got.Account.PreferredUsername != alice ||
		!strings.HasSuffix(got.Account.HomeAccountID, "."+tenantID) {
		t.Errorf("%+v", got.Account)
	}
	wantOAuthRequests(t, s,
		"authorize "+tenantID+" client_id code_challenge code_challenge_method login_hint prompt"+
			" redirect_uri response_mode response_type scope state",
		"token "+tenantID+" client_id client_info code code_verifier grant_type redirect_uri scope")
	form := s.OAuthRequests()[1].Form
	for _, secret := range []string{form.Get("code"), form.Get("code_verifier"), alicePassword} {
		if !slices.Contains(s.SeenSecrets(), secret) {
			t.Errorf("secret %q is not in %q", secret, s.SeenSecrets())
		}
	}
	if s.AuthorizeRequests() != 1 {
		t.Errorf("%d authorize requests", s.AuthorizeRequests())
	}
	testRefusals(t, s, []refusalCase{{"redeemed code", tenantID, form, 54005, "invalid_grant", 400}})

	account := public.WithSilentAccount(got.Account)
	silent, err := app.AcquireTokenSilent(testContext(t), []string{armScope}, account)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(silent.AccessToken, armAudience+"/"); err != nil {
		t.Error(err)
	}
	const canceled = "the user canceled the authentication"
	if _, err = interactive("cancel"); err == nil || !strings.Contains(err.Error(), canceled) {
		t.Errorf("canceled: %v", err)
	}
}

const (
	codeVerifier = "a-verifier-of-forty-three-characters-at-least"
	redirectURI  = "http://localhost:8400"
	state        = "the <state>"
)

// authorizeQuery is the query of a valid authorization request.
func authorizeQuery() url.Values {
	challenge := sha256.Sum256([]byte(codeVerifier))
	return url.Values{
		"client_id":             {aksClient},
		"client_info":           {"1"},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
		"redirect_uri":          {redirectURI},
		"response_type":         {"code"},
		"scope":                 {aksScope + oidcScopes},
		"state":                 {state},
	}
}

// authorizeURL is the URL of an authorization request: authorizeQuery, changed by withValues.
func authorizeURL(s *entratest.Server, tenant string, pairs ...string) string {
	query := withValues(authorizeQuery(), pairs...)
	return endpointURL(s.URL, tenant, "authorize") + "?" + query.Encode()
}

// The form is shown again until the password is right. After that it is used up.
func TestSignInForm(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	form, err := openPage(c, authorizeURL(s, "common", "login_hint", `"><b>`), nil)
	if err != nil || form.status != 200 || form.inputs.Get("login") != `"><b>` || form.error != "" {
		t.Fatalf("%v %+v", err, form)
	}
	for _, test := range []struct{ name, password, error string }{
		{alice, "guess", "Your account or password is incorrect."},
		{unknownUser, "x", "This username may be incorrect."},
		{disabledUser, "d", "Your account has been locked."},
	} {
		p, err := submitForm(c, form, "signin", test.name, test.password)
		if err != nil || p.status != 200 || p.location != "" ||
			!strings.HasPrefix(p.error, test.error) ||
			p.inputs.Get("flow") != form.inputs.Get("flow") ||
			p.inputs.Get("login") != test.name {
			t.Errorf("%s: %v %+v", test.name, err, p)
		}
	}
	signedIn, err := submitForm(c, form, "signin", " "+strings.ToUpper(alice), alicePassword)
	if err != nil || signedIn.status != 302 {
		t.Fatalf("%v %+v", err, signedIn)
	}
	redirect, err := url.Parse(signedIn.location)
	if err != nil {
		t.Fatal(err)
	}
	query := redirect.Query()
	if redirect.Host != "localhost:8400" || query.Get("state") != state ||
		query.Get("session_state") == "" || query.Get("client_info") == "" {
		t.Errorf("redirect to %s", redirect)
	}
	again, err := submitForm(c, form, "signin", alice, alicePassword)
	if err != nil || again.status != 400 || !strings.HasPrefix(again.error, "AADSTS50089") {
		t.Errorf("%v %+v", err, again)
	}
	testRedeem(t, s, query.Get("code"))
}

// testRedeem redeems the code of a sign-in with authorizeQuery, after requests with wrong values.
func testRedeem(t *testing.T, s *entratest.Server, code string) {
	t.Helper()
	valid := url.Values{
		"client_id":     {aksClient},
		"client_info":   {"1"},
		"code":          {code},
		"code_verifier": {codeVerifier},
		"grant_type":    {"authorization_code"},
		"redirect_uri":  {redirectURI},
		"scope":         {aksScope + oidcScopes},
	}
	const otherVerifier = "another-verifier-of-forty-three-characters-at-least"
	testRefusals(t, s, []refusalCase{
		{"wrong verifier", "common", withValues(valid, "code_verifier", otherVerifier), 501481, "invalid_grant", 400},
		{"no verifier", "common", withValues(valid, "code_verifier", ""), 50148, "invalid_grant", 400},
		{"redirect URI", "common", withValues(valid, "redirect_uri", "http://localhost:8401"), 500112, "invalid_client", 401},
		{"another client", "common", withValues(valid, "client_id", cliClient), 70000, "invalid_grant", 400},
		{"unknown code", "common", withValues(valid, "code", "guess"), 70000, "invalid_grant", 400},
	})
	got := post(t, directClient(t, s), s, "common", "token", valid)
	if got.status != 200 || got.RefreshToken == "" {
		t.Error(got)
	}
}

func TestAuthorizeRedirectsErrors(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	fragment := authorizeURL(s, tenantID, "response_mode", "fragment")
	canceled, err := signIn(c, fragment, "cancel", "", "")
	if err != nil ||
		!strings.HasPrefix(canceled.location, redirectURI+"#error=access_denied&") {
		t.Errorf("cancel: %v %+v", err, canceled)
	}
	got, err := openPage(c, authorizeURL(s, tenantID, "prompt", "none"), nil)
	if err != nil || !strings.Contains(got.location, "error=login_required") ||
		!strings.Contains(got.location, "AADSTS50058") {
		t.Errorf("prompt=none: %v %+v", err, got)
	}
}

// Errors that Entra does not send to the client are shown on a page.
func TestAuthorizeShowsErrors(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	for _, test := range []struct {
		url    string
		aadsts int
	}{
		{authorizeURL(s, "not-there.example"), 90002},
		{authorizeURL(s, tenantID, "client_id", "someone"), 700016},
		{authorizeURL(s, tenantID, "client_id", clientID), 7000218},
		{authorizeURL(s, tenantID, "redirect_uri", "http://localhost.example:8400"), 50011},
		{authorizeURL(s, tenantID, "redirect_uri", "https://localhost:8400"), 50011},
		{authorizeURL(s, tenantID, "redirect_uri", "http://localhost:8400/callback"), 50011},
		{authorizeURL(s, tenantID, "scope", "not-there/.default"), 500011},
		{authorizeURL(s, tenantID, "prompt", "please"), 90023},
	} {
		got, err := openPage(c, test.url, nil)
		prefix := fmt.Sprintf("AADSTS%d: ", test.aadsts)
		if err != nil || got.status != 400 || !strings.HasPrefix(got.error, prefix) {
			t.Errorf("%d: %v %+v", test.aadsts, err, got)
		}
	}
}

func TestAuthorizeReportsUnexpectedRequests(t *testing.T) {
	r := &reportRecorder{T: t}
	s := newServerWithUsers(r)
	c := directClient(t, s)
	for _, change := range [][]string{
		{"response_type", "token"},
		{"response_mode", "x"},
		{"code_challenge_method", "plain"},
		{"code_challenge", ""},
		{"state", ""},
		{"resource", "x"},
		{"client_info", "2"},
	} {
		got, err := openPage(c, authorizeURL(s, tenantID, change...), nil)
		if err != nil || got.status != 400 {
			t.Errorf("%s: %v %+v", change, err, got)
		}
		r.wantOneReport(t)
	}
}
