package token

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token/internal/redact"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

func TestIsTenant(t *testing.T) {
	for _, s := range []string{
		"6dae42f8-4368-4678-94ff-3960e28e3630", "6DAE42F8-4368-4678-94FF-3960E28E3630",
		"contoso.example", "StanleyJones.onmicrosoft.com", "a-b.c", "adfs",
	} {
		if !isTenant(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		"", "..", "a..b", "-a.b", "a.b-", "12345", "contoso",
		"6dae42f8-4368-4678-94ff-3960e28e363", "6dae42f84368-4678-94ff-3960e28e36300-",
		"6dae42f8-4368-4678-94ff-3960e28e363g", "6dae42f8-4368-4678-94ff--960e28e36303",
		strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 130) + "b", tokentest.SecretToken,
	} {
		if isTenant(s) {
			t.Errorf("%q is accepted", s)
		}
	}
}

// ParseDuration agrees with Go's parser. An accepted redirect URL leads to this machine. An
// accepted tenant or ID needs no escaping in a URL. All other values are refused with a redacted
// error.
func FuzzFlagValues(f *testing.F) {
	f.Add("1m30s", "http://localhost:8400", "contoso.example",
		"6dae42f8-4368-4678-94ff-3960e28e3630")
	f.Add("-1s", "http://localhost.evil.example", "..", "api://x/.default")
	f.Add("9999999999999h", "http://127.0.0.1@evil.example", "common", "\x1b[31m")
	f.Add("1", "http://[::1]", strings.Repeat("a.", 200), tokentest.SecretToken)
	f.Fuzz(func(t *testing.T, duration, redirectURL, tenant, id string) {
		if d, err := ParseDuration(duration); err != nil {
			tokentest.WantRedacted(t, Explain(err).Text)
		} else if want, _ := time.ParseDuration(duration); d != want {
			t.Fatalf("%q is %s", duration, d)
		}
		if err := (Request{RedirectURL: redirectURL}).checkRedirect(); err != nil {
			tokentest.WantRedacted(t, Explain(err).Text)
		} else if redirectURL != "" && !isLoopbackURL(redirectURL) {
			t.Fatalf("redirect URL %q is accepted", redirectURL)
		}
		r := Request{Login: workloadIdentityName, TenantID: tenant, ClientID: id, ServerID: id}
		if err := r.checkIDs(workloadIdentity); err != nil {
			if !errors.As(err, new(*UsageError)) {
				t.Fatal(err)
			}
			tokentest.WantRedacted(t, Explain(err).Text)
			return
		}
		path := "/" + tenant + "/oauth2/v2.0/token"
		u, err := url.Parse("https://login.example" + path)
		if err != nil || u.Host != "login.example" || u.Path != path || u.RawQuery != "" ||
			strings.Contains(tenant, "..") {
			t.Fatalf("tenant %q makes %v, %v", tenant, u, err)
		}
		if id != "" && (len(id) > 250 || !redact.IsPlain(id, ".-_:/")) {
			t.Fatalf("ID %q is accepted", id)
		}
	})
}

func isLoopbackURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "http" &&
		(u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback())
}
