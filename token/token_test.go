package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func lasting(life, left time.Duration) Token {
	return Token{Value: "t", Obtained: noon.Add(left - life), Expires: noon.Add(left)}
}

func TestFresh(t *testing.T) {
	for name, c := range map[string]struct {
		token        Token
		fresh, works bool
	}{
		"none":                       {Token{}, false, false},
		"new":                        {lasting(time.Hour, time.Hour), true, true},
		"more than ten minutes left": {lasting(time.Hour, 10*time.Minute+time.Second), true, true},
		"ten minutes left":           {lasting(time.Hour, 10*time.Minute), false, true},
		"last second":                {lasting(time.Hour, time.Second), false, true},
		"over":                       {lasting(time.Hour, 0), false, false},
		"short, a fifth left":        {lasting(10*time.Minute, 2*time.Minute), false, true},
		"short, more than that":      {lasting(10*time.Minute, 2*time.Minute+time.Second), true, true},
		"long, ten minutes left":     {lasting(24*time.Hour, 10*time.Minute), false, true},
		"from the future":            {lasting(time.Hour, 2*time.Hour), false, false},
		"clock a little behind":      {lasting(time.Hour, time.Hour+30*time.Second), true, true},
	} {
		if fresh, works := c.token.fresh(noon), c.token.works(noon); fresh != c.fresh || works != c.works {
			t.Errorf("%s: fresh %v works %v, want %v %v", name, fresh, works, c.fresh, c.works)
		}
	}
}

func TestUntil(t *testing.T) {
	for name, c := range map[string]struct {
		token Token
		want  time.Duration
	}{
		"a minute early":             {lasting(time.Hour, time.Hour), 59 * time.Minute},
		"a tenth early":              {lasting(5*time.Minute, 5*time.Minute), 270 * time.Second},
		"whole seconds":              {lasting(time.Hour, time.Hour+500*time.Millisecond), 59 * time.Minute},
		"the end, once that is past": {lasting(time.Hour, 30*time.Second), 30 * time.Second},
		"not after the end":          {lasting(time.Hour, 1900*time.Millisecond), time.Second},
		"not in the past":            {lasting(time.Hour, 300*time.Millisecond), time.Second},
	} {
		if got := c.token.Until(noon).Sub(noon); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Every flag is read from its sources in the contract's order, whichever they are.
func TestResolveOrder(t *testing.T) {
	fields := reflect.TypeFor[Request]()
	for i := range fields.NumField() {
		tag, flag := fields.Field(i).Tag, fields.Field(i).Tag.Get("name")
		if flag == "" || fields.Field(i).Type.Kind() != reflect.String {
			continue
		}
		variables := Variables(tag.Get)
		strongest := slices.IndexFunc(variables, func(v Variable) bool { return !v.Overrides })
		if strongest < 0 {
			strongest = len(variables)
		}
		// Sources from the weakest to the strongest; each is added to the ones before.
		env := map[string]string{}
		typed := func(string) bool { return false }
		r := Request{Login: "azurepipelines", UseAzureRMEnvVars: true} // a method that all variables count for
		reflect.ValueOf(&r).Elem().Field(i).SetZero()
		if flag != "login" {
			env["AAD_LOGIN_METHOD"] = "azurepipelines"
		}
		check := func(want, from string) {
			t.Helper()
			got, err := r.Resolve(typed, func(name string) string { return env[name] })
			if value := reflect.ValueOf(got).Field(i).String(); err != nil || value != want || got.From[flag] != from {
				t.Errorf("--%s: %q from %q, %v; want %q from %q", flag, value, got.From[flag], err, want, from)
			}
		}
		if otherwise := tag.Get("otherwise"); otherwise != "" {
			check(otherwise, theDefault)
		} else if flag != "login" {
			check("", "")
		}
		fromVariable := func(v Variable) {
			env[v.Name] = "of-" + v.Name
			check("of-"+v.Name, "$"+v.Name)
		}
		for _, v := range slices.Backward(variables[strongest:]) {
			fromVariable(v)
		}
		typed = func(name string) bool { return name == flag }
		reflect.ValueOf(&r).Elem().Field(i).SetString("typed")
		check("typed", "--"+flag)
		r.DisableEnvironmentOverride = true
		for _, v := range slices.Backward(variables[:strongest]) {
			env[v.Name] = "of-" + v.Name
			if flag != "login" {
				env["AAD_LOGIN_METHOD"] = ""
			}
			check("typed", "--"+flag)
		}
		r.DisableEnvironmentOverride = false
		for _, v := range variables[:strongest] {
			delete(env, v.Name)
		}
		if flag != "login" {
			env["AAD_LOGIN_METHOD"] = "azurepipelines"
		}
		for _, v := range slices.Backward(variables[:strongest]) {
			fromVariable(v)
		}
		for _, v := range variables { // empty is unset
			env[v.Name] = ""
		}
		check("typed", "--"+flag)
	}
}

func TestMethodsNameRealFlags(t *testing.T) {
	for _, m := range Methods {
		for _, flag := range slices.Concat(m.flags(), m.Own, m.Stanza.Writes) {
			flagField(flag) // panics
		}
		for _, flag := range m.Own {
			if !m.takes(flag) {
				t.Errorf("%s owns --%s but neither needs nor uses it", m.Name, flag)
			}
		}
	}
}

func TestKnownHostsAreTheClouds(t *testing.T) {
	for _, e := range environments {
		wr, err := newWire(workloadIdentity, Request{Environment: e.names[0], TenantID: "t"}, World{}.orDefaults())
		if err != nil || !wr.oneRequest {
			t.Errorf("%s: %+v, %v", e.names[0], wr, err)
		}
	}
}

// Azure Resource Manager is the authority's cloud's, whatever says which that is.
func TestResourceManager(t *testing.T) {
	for _, c := range []struct{ environment, authority, endpoint, audience string }{
		{"", "", "https://management.azure.com", "https://management.core.windows.net"},
		{"azurechinacloud", "", "https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn"},
		{"AzureUSGovernment", "", "https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net"},
		{"", "https://LOGIN.microsoftonline.us", "https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net"},
		{"", "https://login.partner.microsoftonline.cn/", "https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn"},
		{"", "https://sts.windows.net:443/", "https://management.azure.com", "https://management.core.windows.net"},
		{"AzureUSGovernment", "https://login.windows.net/", "https://management.azure.com", "https://management.core.windows.net"},
		{"AzurePublicCloud", "https://private.example/", "", ""},
		{"AzureMoonCloud", "", "", ""},
	} {
		r := Request{
			Login: workloadIdentityName, TenantID: "contoso.example", ClientID: "c", Environment: c.environment, AuthorityHost: c.authority,
			ServerID: "other", From: map[string]string{"server-id": "--server-id"},
		}
		got, endpoint, err := r.ResourceManager()
		if c.endpoint == "" {
			var wrong *UsageError
			if !errors.As(err, &wrong) {
				t.Errorf("%+v: %q, %v", c, endpoint, err)
			}
			continue
		}
		if err != nil || endpoint != c.endpoint || got.audience() != c.audience {
			t.Errorf("%+v: %q for %q, %v", c, endpoint, got.audience(), err)
		}
		if _, err := got.Check(); err != nil {
			t.Error(err)
		}
		if r.From["server-id"] != "--server-id" || got.From["server-id"] != "Azure Resource Manager" {
			t.Errorf("from %q, was from %q", got.From, r.From)
		}
	}
}

func TestRegionIsLeftToMSAL(t *testing.T) {
	w := World{Getenv: func(name string) string {
		return map[string]string{"AZURE_REGIONAL_AUTHORITY_NAME": "westeurope"}[name]
	}}.orDefaults()
	wr, err := newWire(workloadIdentity, Request{}, w)
	if err != nil || wr.oneRequest || wr.region != "westeurope" {
		t.Errorf("%+v, %v", wr, err)
	}
}

func TestAssertionStaysAtHome(t *testing.T) {
	for _, c := range []struct {
		authority, region, url, method string
		want                           bool
	}{
		{"https://login.microsoftonline.com/", "", "https://login.microsoftonline.com/t/oauth2/v2.0/token", "POST", true},
		{"https://login.microsoftonline.com/", "", "https://LOGIN.microsoftonline.com/t/oauth2/v2.0/token", "POST", true},
		{"https://login.microsoftonline.com/", "", "http://login.microsoftonline.com/t/oauth2/v2.0/token", "POST", false},
		{"https://login.microsoftonline.com/", "", "https://login.microsoftonline.com:8443/t", "POST", false},
		{"https://login.microsoftonline.com/", "", "https://login.microsoftonline.com.evil.example/t", "POST", false},
		{"https://login.microsoftonline.com/", "", "https://westeurope.login.microsoft.com/t", "POST", false},
		{"https://login.microsoftonline.com/", "westeurope", "https://westeurope.login.microsoft.com/t", "POST", true},
		{"https://login.microsoftonline.com/", "westeurope", "https://evil.login.microsoft.com/t", "POST", false},
		{"https://login.microsoftonline.us/", "usgovvirginia", "https://usgovvirginia.login.microsoftonline.us/t", "POST", true},
		{"https://private.example/", "", "https://login.microsoftonline.com/common/discovery/instance", "GET", true},
		{"https://private.example/", "", "https://login.microsoftonline.com/t/oauth2/v2.0/token", "POST", false},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		tr := transport{wire: wire{authority: c.authority, region: c.region}}
		if err := tr.allowed(u, c.method); (err == nil) != c.want {
			t.Errorf("%s %s for %s: %v", c.method, c.url, c.authority, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "3", 3 * time.Second},
		{"Retry-After", "-3", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "9223372037", 24 * time.Hour},
		{"Retry-After", "99999999999999999999", 0},
		{"Retry-After", time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat), 90 * time.Second},
		{"Retry-After", time.Now().Add(90 * time.Second).UTC().Format(time.ANSIC), 90 * time.Second},
		{"Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), 0},
		{"Retry-After-Ms", "1500", 1500 * time.Millisecond},
		{"X-Ms-Retry-After-Ms", "200", 200 * time.Millisecond},
	} {
		resp := &http.Response{Header: http.Header{}}
		resp.Header.Set(c.name, c.value)
		if got := retryAfter(resp); got < c.want-2*time.Second || got > c.want {
			t.Errorf("%s: %s: %s, want %s", c.name, c.value, got, c.want)
		}
		plainRetryAfter(resp)
		if got := retryAfter(resp); got < c.want-2*time.Second || got >= c.want+time.Second || (c.want == 0) != (len(resp.Header) == 0) {
			t.Errorf("%s: %s became %v", c.name, c.value, resp.Header)
		}
	}
}

// Another way there, or another flag that decides how it ends, makes another process's failure none of this one's.
func TestRouteDiffers(t *testing.T) {
	getenv := func(name, value string) World {
		return World{Getenv: func(n string) string { return map[string]string{name: value}[n] }}
	}
	seen := map[string]string{}
	for name, r := range map[string]string{
		"plain": route(Request{}, getenv("", "")), "discovery": route(Request{DisableInstanceDiscovery: true}, getenv("", "")),
		"proxy": route(Request{}, getenv("HTTPS_PROXY", "http://p")), "other proxy": route(Request{}, getenv("https_proxy", "http://p")), "CA": route(Request{}, getenv("SSL_CERT_FILE", "/ca")),
	} {
		if other := seen[r]; other != "" {
			t.Errorf("%s is the way of %s", name, other)
		}
		seen[r] = name
	}
}

// A disk that does not answer is waited for a while and no longer; what comes late is not lost.
func TestWithin(t *testing.T) {
	hanging, late := make(chan int), make(chan int)
	u := &timely{}
	if n, err := within(u, time.Hour, func() (int, error) { return 7, errSlow }, nil); n != 7 || err != errSlow || u.hung {
		t.Errorf("%d, %v, %v", n, err, u.hung)
	}
	if _, err := within(u, time.Millisecond, func() (int, error) { return <-hanging, nil }, func(n int) { late <- n }); err != errSlow || !u.hung {
		t.Errorf("a call that hangs ended with %v", err)
	}
	hanging <- 7
	if n := <-late; n != 7 {
		t.Errorf("%d came late", n)
	}
}

// hungStore answers nothing until it is let go, but for what is named.
type hungStore struct {
	answers string
	release chan struct{}
}

func (h hungStore) Get() ([]byte, error)                { h.hang("get"); return nil, errors.New("nothing here") }
func (h hungStore) Put([]byte, string, time.Time) error { h.hang("put"); return nil }
func (h hungStore) Lock(context.Context, bool) (func(), error) {
	h.hang("lock")
	return func() { h.hang("unlock") }, nil
}

func (h hungStore) hang(call string) {
	if !strings.Contains(h.answers, call+" ") {
		<-h.release
	}
}

// A login outlives a disk that stops answering, whenever it does.
func TestHungStore(t *testing.T) {
	for _, answers := range []string{"", "get ", "get lock ", "get lock put "} {
		t.Run(answers, func(t *testing.T) {
			t.Parallel()
			store := hungStore{answers, make(chan struct{})}
			defer close(store.release)
			u := &reuser{
				World: World{}.orDefaults(), store: &timely{store: store},
				ask: func(context.Context, bool) (Token, error) { return lasting(time.Hour, time.Hour), nil },
			}
			ctx, done := context.WithTimeout(t.Context(), 8*time.Second)
			defer done()
			if tok, err := u.token(ctx); err != nil || tok.Value == "" || !u.store.hung {
				t.Errorf("%+v, %v, hung %v", tok, err, u.store.hung)
			}
		})
	}
}

func TestIsTenant(t *testing.T) {
	for s, want := range map[string]bool{
		"6dae42f8-4368-4678-94ff-3960e28e3630": true, "6DAE42F8-4368-4678-94FF-3960E28E3630": true,
		"contoso.example": true, "StanleyJones.onmicrosoft.com": true, "a-b.c": true, "adfs": true,
		"": false, "..": false, "a..b": false, "-a.b": false, "a.b-": false, "12345": false, "contoso": false,
		"6dae42f8-4368-4678-94ff-3960e28e363": false, "6dae42f84368-4678-94ff-3960e28e36300-": false,
		"6dae42f8-4368-4678-94ff-3960e28e363g": false, "6dae42f8-4368-4678-94ff--960e28e36303": false,
		strings.Repeat("a", 64) + ".b": false, strings.Repeat("a.", 130) + "b": false, secretToken: false,
	} {
		if isTenant(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestLongNamesAreNotSecrets(t *testing.T) {
	for _, text := range []string{
		"AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:astronomer-shining-nebula-1234:shining-nebula-1234-worker-serviceaccount'.",
		"https://eastus.oic.prod-aks.azure.com/11111111-aaaa-4444-8888-000000000001/22222222-bbbb-4444-8888-000000000001/",
		"/var/run/secrets/azure/tokens/azure-identity-token",
		"/secrets/googleServiceAccountKeyJson/tok", "repo:Octo-Org/HoneyJar-Service:ref:refs/heads/main",
		"MC_MyResourceGroup-Production_MyCluster01_westeurope", "StanleyJones.onmicrosoft.com",
		"6DAE42F8-4368-4678-94FF-3960E28E3630", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
		"https://mycluster-dns-1a2b3c4d.privatelink.9f8e7d6c-5b4a-3210-fedc-ba9876543210.eastus2.azmk8s.io:443/",
	} {
		if got := clean(text); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	for _, secret := range []string{
		"7bV8Q~aBcDeFgHiJkLmN.oPqRsTuVwXyZ0123_45", "q1W8Q~xY2zA3bC4dE5fG6hI7jK8lM9nO0pQ1rS2t",
		"eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln", "eyJhbGciOiJSUzI1NiJ9",
		strings.Split(secretToken, ".")[2],
	} {
		for _, around := range []string{"%s", "got '%s' here", "client_assertion=%s&x=y", "a%%3D%s", "(%s)", "https://x/%s/y", "AADSTS1: %s."} {
			if text := fmt.Sprintf(around, secret); strings.Contains(clean(text), secret) {
				t.Errorf("%s shows it", clean(text))
			}
		}
	}
}

func TestExplainOwnErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{usage("x"), WrongUsage},
		{errors.New("x"), LoginFailed},
		{fmt.Errorf("y: %w", &FailedError{Text: "x"}), LoginFailed},
	} {
		if got := Explain(c.err); got.Exit != c.want || got.Text != "x" {
			t.Errorf("%+v", got)
		}
	}
}
