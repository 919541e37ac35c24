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

// A page is what a browser shows, or is sent on to.
type page struct {
	status   int
	location string
	action   string
	error    string
	inputs   url.Values
	raw      string
}

var (
	formAction = regexp.MustCompile(`<form id="form" method="post" action="([^"]*)"`)
	formInput  = regexp.MustCompile(`<input [^>]*name="([^"]*)"[^>]* value="([^"]*)"`)
	pageError  = regexp.MustCompile(`<p id="error" role="alert" data-code="[0-9]*">([^<]*)`)
)

// openPage is a browser that fetches a page, or sends a form when there is one.
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
	p := page{status: resp.StatusCode, location: resp.Header.Get("Location"), inputs: url.Values{}, raw: string(body)}
	first := func(re *regexp.Regexp) string {
		if m := re.FindStringSubmatch(p.raw); m != nil {
			return html.UnescapeString(m[1])
		}
		return ""
	}
	p.action, p.error = first(formAction), first(pageError)
	for _, m := range formInput.FindAllStringSubmatch(p.raw, -1) {
		p.inputs.Set(m[1], html.UnescapeString(m[2]))
	}
	if base, err := url.Parse(address); err == nil && p.action != "" {
		if at, err := base.Parse(p.action); err == nil {
			p.action = at.String()
		}
	}
	return p, nil
}

// signIn is a person at a browser: the form, what he puts into it, and the answer that goes to the
// client.
func signIn(c *http.Client, address, action, name, password string) (page, error) {
	form, err := openPage(c, address, nil)
	if err != nil || form.action == "" {
		return form, err
	}
	return submitForm(c, form, action, name, password)
}

func submitForm(c *http.Client, form page, action, name, password string) (page, error) {
	return openPage(c, form.action, url.Values{"flow": form.inputs["flow"], "login": {name}, "passwd": {password}, "action": {action}})
}

// MSAL is told to post the answer to its own server.
func TestAuthorizationCode(t *testing.T) {
	s := newServerWithUsers(t)
	c := newClient(t, s, false)
	app, err := public.New(aksClient, public.WithAuthority(s.URL+"/"+tenantID), public.WithInstanceDiscovery(false), public.WithHTTPClient(c))
	if err != nil {
		t.Fatal(err)
	}
	interactive := func(action string) (public.AuthResult, error) {
		return app.AcquireTokenInteractive(testContext(t), []string{aksScope}, public.WithLoginHint(alice), public.WithOpenURL(func(address string) error {
			go func() {
				answer, err := signIn(c, address, action, alice, alicePassword)
				if err == nil && answer.action != "" {
					answer, err = openPage(c, answer.action, answer.inputs)
				}
				if err != nil || answer.status != 200 {
					t.Errorf("%v %+v", err, answer)
				}
			}()
			return nil
		}))
	}
	got, err := interactive("signin")
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, verifiedClaims(t, s, got.AccessToken), map[string]any{"upn": alice, "scp": "user_impersonation"})
	if got.Account.PreferredUsername != alice || !strings.HasSuffix(got.Account.HomeAccountID, "."+tenantID) {
		t.Errorf("%+v", got.Account)
	}
	wantOAuthRequests(t, s,
		"authorize "+tenantID+" client_id code_challenge code_challenge_method login_hint prompt redirect_uri response_mode response_type scope state",
		"token "+tenantID+" client_id client_info code code_verifier grant_type redirect_uri scope")
	form := s.OAuthRequests()[1].Form
	for _, name := range []string{"code", "code_verifier"} {
		if !slices.Contains(s.SeenSecrets(), form.Get(name)) {
			t.Errorf("%s not seen", name)
		}
	}
	if !slices.Contains(s.SeenSecrets(), alicePassword) || s.AuthorizeRequests() != 1 {
		t.Errorf("seen %q, %d authorizations", s.SeenSecrets(), s.AuthorizeRequests())
	}
	// A code is good once.
	testRefusals(t, s, []refusalCase{{"again", tenantID, form, 54005, "invalid_grant", 400}})

	silent, err := app.AcquireTokenSilent(testContext(t), []string{armScope}, public.WithSilentAccount(got.Account))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(silent.AccessToken, "https://management.core.windows.net/"); err != nil {
		t.Error(err)
	}
	if _, err = interactive("cancel"); err == nil || !strings.Contains(err.Error(), "the user canceled the authentication") {
		t.Errorf("canceled: %v", err)
	}
}

const codeVerifier = "a-verifier-of-forty-three-characters-at-least"

func authorizeQuery() url.Values {
	challenge := sha256.Sum256([]byte(codeVerifier))
	return url.Values{
		"client_id": {aksClient}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}, "client_info": {"1"},
		"redirect_uri": {"http://localhost:8400"}, "response_type": {"code"}, "scope": {aksScope + oidcScopes}, "state": {"the <state>"},
	}
}

func authorizeURL(s *entratest.Server, tenant string, q url.Values) string {
	return s.URL + "/" + tenant + "/oauth2/v2.0/authorize?" + q.Encode()
}

// The form comes again until the password is right, and then never again.
func TestSignInForm(t *testing.T) {
	s := newServerWithUsers(t)
	c := newClient(t, s, false)
	form, err := openPage(c, authorizeURL(s, "common", withValues(authorizeQuery(), "login_hint", `"><b>`)), nil)
	if err != nil || form.status != 200 || form.inputs.Get("login") != `"><b>` || form.error != "" {
		t.Fatalf("%v %+v", err, form)
	}
	for _, test := range []struct{ name, password, words string }{
		{alice, "guess", "Your account or password is incorrect."},
		{"nobody@contoso.onmicrosoft.com", "x", "This username may be incorrect."},
		{"dora@contoso.onmicrosoft.com", "d", "Your account has been locked."},
	} {
		again, err := submitForm(c, form, "signin", test.name, test.password)
		if err != nil || again.status != 200 || again.location != "" || !strings.HasPrefix(again.error, test.words) || again.inputs.Get("flow") != form.inputs.Get("flow") || again.inputs.Get("login") != test.name {
			t.Errorf("%s: %v %+v", test.name, err, again)
		}
	}
	answer, err := submitForm(c, form, "signin", " "+strings.ToUpper(alice), alicePassword)
	if err != nil || answer.status != 302 {
		t.Fatalf("%v %+v", err, answer)
	}
	back, err := url.Parse(answer.location)
	if err != nil || back.Host != "localhost:8400" || back.Query().Get("state") != "the <state>" || back.Query().Get("session_state") == "" || back.Query().Get("client_info") == "" {
		t.Errorf("%v %s", err, answer.location)
	}
	if used, err := submitForm(c, form, "signin", alice, alicePassword); err != nil || used.status != 400 || !strings.HasPrefix(used.error, "AADSTS50089") {
		t.Errorf("%v %+v", err, used)
	}

	redeem := url.Values{
		"client_id": {aksClient}, "client_info": {"1"}, "code": {back.Query().Get("code")}, "code_verifier": {codeVerifier}, "grant_type": {"authorization_code"},
		"redirect_uri": {"http://localhost:8400"}, "scope": {aksScope + oidcScopes},
	}
	testRefusals(t, s, []refusalCase{
		{"verifier", "common", withValues(redeem, "code_verifier", "another-verifier-of-forty-three-characters-at-least"), 501481, "invalid_grant", 400},
		{"no verifier", "common", withValues(redeem, "code_verifier", ""), 50148, "invalid_grant", 400},
		{"redirect", "common", withValues(redeem, "redirect_uri", "http://localhost:8401"), 500112, "invalid_client", 401},
		{"another client", "common", withValues(redeem, "client_id", cliClient), 70000, "invalid_grant", 400},
		{"another code", "common", withValues(redeem, "code", "guess"), 70000, "invalid_grant", 400},
	})
	if status, got := post(t, c, s, "common", "token", redeem); status != 200 || got.RefreshToken == "" {
		t.Errorf("%d %+v", status, got)
	}

	canceled, err := signIn(c, authorizeURL(s, tenantID, withValues(authorizeQuery(), "response_mode", "fragment")), "cancel", "", "")
	if err != nil || !strings.HasPrefix(canceled.location, "http://localhost:8400#error=access_denied&") {
		t.Errorf("%v %+v", err, canceled)
	}
	none, err := openPage(c, authorizeURL(s, tenantID, withValues(authorizeQuery(), "prompt", "none")), nil)
	if err != nil || !strings.Contains(none.location, "error=login_required") || !strings.Contains(none.location, "AADSTS50058") {
		t.Errorf("%v %+v", err, none)
	}
}

// What cannot be sent back to the client is shown.
func TestAuthorizeRefuses(t *testing.T) {
	s := newServerWithUsers(t)
	c := newClient(t, s, false)
	q := authorizeQuery()
	for _, test := range []struct {
		tenant string
		query  url.Values
		code   int
	}{
		{"not-there.example", q, 90002},
		{tenantID, withValues(q, "client_id", "someone"), 700016},
		{tenantID, withValues(q, "client_id", clientID), 7000218},
		{tenantID, withValues(q, "redirect_uri", "http://localhost.example:8400"), 50011},
		{tenantID, withValues(q, "redirect_uri", "https://localhost:8400"), 50011},
		{tenantID, withValues(q, "redirect_uri", "http://localhost:8400/callback"), 50011},
		{tenantID, withValues(q, "scope", "not-there/.default"), 500011},
		{tenantID, withValues(q, "prompt", "please"), 90023},
	} {
		got, err := openPage(c, authorizeURL(s, test.tenant, test.query), nil)
		if err != nil || got.status != 400 || !strings.HasPrefix(got.error, fmt.Sprintf("AADSTS%d: ", test.code)) {
			t.Errorf("%d: %v %+v", test.code, err, got)
		}
	}
}

func TestAuthorizeIsStrict(t *testing.T) {
	r := &recorder{T: t}
	s := newServerWithUsers(r)
	c := newClient(t, s, false)
	for _, change := range [][]string{
		{"response_type", "token"}, {"response_mode", "x"}, {"code_challenge_method", "plain"}, {"code_challenge", ""}, {"state", ""}, {"resource", "x"}, {"client_info", "2"},
	} {
		got, err := openPage(c, authorizeURL(s, tenantID, withValues(authorizeQuery(), change...)), nil)
		if err != nil || got.status != 400 || len(r.takeReports()) != 1 {
			t.Errorf("%s: %v %+v", change, err, got)
		}
	}
}
