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
	for s, want := range map[string]bool{
		"6dae42f8-4368-4678-94ff-3960e28e3630": true, "6DAE42F8-4368-4678-94FF-3960E28E3630": true,
		"contoso.example": true, "StanleyJones.onmicrosoft.com": true, "a-b.c": true, "adfs": true,
		"": false, "..": false, "a..b": false, "-a.b": false, "a.b-": false, "12345": false, "contoso": false,
		"6dae42f8-4368-4678-94ff-3960e28e363": false, "6dae42f84368-4678-94ff-3960e28e36300-": false,
		"6dae42f8-4368-4678-94ff-3960e28e363g": false, "6dae42f8-4368-4678-94ff--960e28e36303": false,
		strings.Repeat("a", 64) + ".b": false, strings.Repeat("a.", 130) + "b": false, tokentest.SecretToken: false,
	} {
		if isTenant(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// A length of time is one as Go reads it, or refused in words; a browser comes back to this machine
// only; an ID is one that can stand in an address.
func FuzzFlagValues(f *testing.F) {
	f.Add("1m30s", "http://localhost:8400", "contoso.example", "6dae42f8-4368-4678-94ff-3960e28e3630")
	f.Add("-1s", "http://localhost.evil.example", "..", "api://x/.default")
	f.Add("9999999999999h", "http://127.0.0.1@evil.example", "common", "\x1b[31m")
	f.Add("1", "http://[::1]", strings.Repeat("a.", 200), tokentest.SecretToken)
	f.Fuzz(func(t *testing.T, length, redirect, tenant, id string) {
		if d, err := ParseDuration(length); err != nil {
			tokentest.WantRedacted(t, Explain(err).Text)
		} else if want, _ := time.ParseDuration(length); d != want {
			t.Fatalf("%q is %s", length, d)
		}
		if err := (Request{RedirectURL: redirect}).checkRedirect(); err != nil {
			tokentest.WantRedacted(t, Explain(err).Text)
		} else if u, err := url.Parse(redirect); redirect != "" && (err != nil || u.Scheme != "http" || u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback()) {
			t.Fatalf("%q is taken", redirect)
		}
		r := Request{Login: workloadIdentityName, TenantID: tenant, ClientID: id, ServerID: id}
		err := r.checkIDs(workloadIdentity)
		if err != nil {
			if !errors.As(err, new(*UsageError)) {
				t.Fatal(err)
			}
			tokentest.WantRedacted(t, Explain(err).Text)
			return
		}
		u, err := url.Parse("https://login.example/" + tenant + "/oauth2/v2.0/token")
		if err != nil || u.Host != "login.example" || u.Path != "/"+tenant+"/oauth2/v2.0/token" || u.RawQuery != "" || strings.Contains(tenant, "..") {
			t.Fatalf("tenant %q makes %v, %v", tenant, u, err)
		}
		if id != "" && (len(id) > 250 || !redact.IsPlain(id, ".-_:/")) {
			t.Fatalf("%q is taken for an ID", id)
		}
	})
}
