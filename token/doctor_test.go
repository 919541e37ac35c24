package token

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the times of a federated token say, by the limits of Entra ID and of the kubelet.
func TestTroubleWithTimes(t *testing.T) {
	now := time.Unix(1893456000, 0)
	at := func(fromNow time.Duration) time.Time { return now.Add(fromNow) }
	for name, test := range map[string]struct {
		life    lifetime
		subject string
		want    Status
	}{
		"young":                        {lifetime{at(-time.Minute), at(-time.Minute), at(time.Hour)}, "system:serviceaccount:a:b", ""},
		"due":                          {lifetime{at(-50 * time.Minute), at(-50 * time.Minute), at(10 * time.Minute)}, "system:serviceaccount:a:b", ""},
		"overdue":                      {lifetime{at(-55 * time.Minute), at(-55 * time.Minute), at(5 * time.Minute)}, "system:serviceaccount:a:b", Warning},
		"old, and nobody has to renew": {lifetime{at(-55 * time.Minute), at(-55 * time.Minute), at(5 * time.Minute)}, "repo:a/b", ""},
		"expired":                      {lifetime{at(-time.Hour), at(-time.Hour), now}, "repo:a/b", Wrong},
		"a clock a little off":         {lifetime{at(time.Minute), at(time.Minute), at(time.Hour)}, "repo:a/b", ""},
		"from the future":              {lifetime{at(10 * time.Minute), time.Time{}, at(time.Hour)}, "repo:a/b", Wrong},
		"not yet":                      {lifetime{at(-time.Minute), at(10 * time.Minute), at(time.Hour)}, "repo:a/b", Wrong},
		"the longest":                  {lifetime{now, now, at(longestAssertion)}, "repo:a/b", ""},
		"too long":                     {lifetime{now, now, at(longestAssertion + time.Second)}, "repo:a/b", Wrong},
		"without an end":               {lifetime{issued: now}, "repo:a/b", Wrong},
		"without a beginning":          {lifetime{expires: at(48 * time.Hour)}, "repo:a/b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			found := test.life.trouble(claims{Subject: test.subject}, "no such file", now)
			if found.Status != test.want || (found.Status == Wrong || found.Status == Warning) != (found.Todo != "") {
				t.Errorf("%+v, want %q", found, test.want)
			}
		})
	}
}

// Microsoft's authorities have their certificates from few; whoever else signs for them opens TLS.
func TestSecurityKnowsWhoSigns(t *testing.T) {
	leaf := &x509.Certificate{DNSNames: []string{"login.microsoftonline.com"}, Issuer: pkix.Name{CommonName: "an intermediate"}}
	for name, test := range map[string]struct {
		authority, organization string
		want                    Status
	}{
		"Azure's":              {"https://login.microsoftonline.com/", "DigiCert Inc", OK},
		"a company's":          {"https://login.microsoftonline.com/", "Contoso", Warning},
		"nobody's":             {"https://login.microsoftonline.us/", "", Warning},
		"of a private cloud's": {"https://private.example/", "Contoso", OK},
	} {
		t.Run(name, func(t *testing.T) {
			root := &x509.Certificate{Subject: pkix.Name{Organization: []string{test.organization}}, Issuer: pkix.Name{Organization: []string{test.organization}}}
			d := &Diagnosis{world: World{Getenv: func(string) string { return "" }}, wire: wire{authority: test.authority}}
			found := d.security(&tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, root}}})
			if found.Status != test.want || !strings.Contains(found.Text, `signed by "`+test.organization) && test.organization != "" {
				t.Errorf("%+v", found)
			}
		})
	}
}

func TestClock(t *testing.T) {
	there := time.Unix(1893456000, 0)
	resp := &http.Response{Header: http.Header{"Date": {there.UTC().Format(http.TimeFormat)}}}
	for ahead, want := range map[time.Duration]Status{0: OK, -20 * time.Second: OK, time.Minute: Warning, -time.Minute: Warning, 6 * time.Minute: Wrong, -24 * time.Hour: Wrong} {
		if found := clock(resp, there.Add(ahead)); found.Status != want {
			t.Errorf("%s: %+v", ahead, found)
		}
	}
	if found := clock(&http.Response{}, there); found.Status != Skipped {
		t.Errorf("no date: %+v", found)
	}
}

// Whatever an issuer wrote into a federated token, nothing of it can leave the quotes of a command that is shown to be copied.
func FuzzCredential(f *testing.F) {
	f.Add("https://oidc.example/a/", "system:serviceaccount:a:b", "api://AzureADTokenExchange", "22222222-bbbb-4444-8888-000000000001")
	f.Add("https://x/'; rm -rf ~; '", "$(id)`id`", "api://x\n", "'")
	f.Add("https://x/${resourceGroup().id}", `a\' b`, "", "")
	f.Add("https://x/\x1b]8;;https://y\x07", "\u202e", strings.Repeat("a", 5000), "c")
	f.Fuzz(func(t *testing.T, issuer, subject, audience, client string) {
		facts := comparedClaims(claims{Issuer: issuer, Subject: subject, Audience: []string{audience}})
		if (Request{ClientID: client}).checkIDs(Method{}) != nil {
			return
		}
		found := credentialFor(facts, Request{ClientID: client}).Presentable()
		wantPresentable(t, found.Text)
		for _, line := range found.Show {
			wantPresentable(t, strings.TrimLeft(line, " "))
			if strings.HasPrefix(line, "az ") && strings.Count(line, "'")%2 != 0 {
				t.Errorf("%s", line)
			}
			for i, part := range strings.Split(line, "'") {
				if inside := i%2 == 1; !inside && strings.ContainsAny(part, "$`;&|<>\\\"") {
					t.Errorf("%s", line)
				}
			}
		}
		if len(found.Show) > 0 && !slices.Contains(found.Show, "    issuer: '"+issuer+"'") {
			t.Errorf("%q is not the issuer in %q", issuer, found.Show)
		}
	})
}
