package token

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token/internal/jwt"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// What the times of a federated token say, by the limits of Entra ID and of the kubelet.
func TestAssertionTimeProblems(t *testing.T) {
	now := time.Unix(1893456000, 0)
	at := func(fromNow time.Duration) time.Time { return now.Add(fromNow) }
	for name, test := range map[string]struct {
		life    assertionTimes
		subject string
		want    Status
	}{
		"young":                        {assertionTimes{at(-time.Minute), at(-time.Minute), at(time.Hour)}, "system:serviceaccount:a:b", ""},
		"due":                          {assertionTimes{at(-50 * time.Minute), at(-50 * time.Minute), at(10 * time.Minute)}, "system:serviceaccount:a:b", ""},
		"overdue":                      {assertionTimes{at(-55 * time.Minute), at(-55 * time.Minute), at(5 * time.Minute)}, "system:serviceaccount:a:b", StatusWarning},
		"old, and nobody has to renew": {assertionTimes{at(-55 * time.Minute), at(-55 * time.Minute), at(5 * time.Minute)}, "repo:a/b", ""},
		"expired":                      {assertionTimes{at(-time.Hour), at(-time.Hour), now}, "repo:a/b", StatusWrong},
		"a clock a little off":         {assertionTimes{at(time.Minute), at(time.Minute), at(time.Hour)}, "repo:a/b", ""},
		"from the future":              {assertionTimes{at(10 * time.Minute), time.Time{}, at(time.Hour)}, "repo:a/b", StatusWrong},
		"not yet":                      {assertionTimes{at(-time.Minute), at(10 * time.Minute), at(time.Hour)}, "repo:a/b", StatusWrong},
		"the longest":                  {assertionTimes{now, now, at(maxAssertionLifetime)}, "repo:a/b", ""},
		"too long":                     {assertionTimes{now, now, at(maxAssertionLifetime + time.Second)}, "repo:a/b", StatusWrong},
		"without an end":               {assertionTimes{issued: now}, "repo:a/b", StatusWrong},
		"without a beginning":          {assertionTimes{expires: at(48 * time.Hour)}, "repo:a/b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			found := test.life.problem(jwt.Claims{Subject: test.subject}, "no such file", now)
			if found.Status != test.want || (found.Status == StatusWrong || found.Status == StatusWarning) != (found.Todo != "") {
				t.Errorf("%+v, want %q", found, test.want)
			}
		})
	}
}

// Whatever an issuer wrote into a federated token, nothing of it can leave the quotes of a command
// that is shown to be copied.
func FuzzFederatedCredentialCommand(f *testing.F) {
	f.Add("https://oidc.example/a/", "system:serviceaccount:a:b", "api://AzureADTokenExchange", "22222222-bbbb-4444-8888-000000000001")
	f.Add("https://x/'; rm -rf ~; '", "$(id)`id`", "api://x\n", "'")
	f.Add("https://x/${resourceGroup().id}", `a\' b`, "", "")
	f.Add("https://x/\x1b]8;;https://y\x07", "\u202e", strings.Repeat("a", 5000), "c")
	f.Fuzz(func(t *testing.T, issuer, subject, audience, client string) {
		facts := comparedClaims(jwt.Claims{Issuer: issuer, Subject: subject, Audience: []string{audience}})
		if (Request{ClientID: client}).checkIDs(Method{}) != nil {
			return
		}
		found := federatedCredentialFinding(facts, Request{ClientID: client}).Redacted()
		tokentest.WantRedacted(t, found.Text)
		for _, line := range found.Show {
			tokentest.WantRedacted(t, strings.TrimLeft(line, " "))
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
