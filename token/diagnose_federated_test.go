package token

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token/internal/jwt"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// The limits on the times of a federated token are those of Entra ID and of the kubelet.
func TestAssertionTimeProblems(t *testing.T) {
	const pod, repo = "system:serviceaccount:a:b", "repo:a/b"
	now := time.Unix(1893456000, 0)
	times := func(issued, notBefore, expires time.Duration) assertionTimes {
		return assertionTimes{now.Add(issued), now.Add(notBefore), now.Add(expires)}
	}
	for name, c := range map[string]struct {
		times   assertionTimes
		subject string
		want    Status
	}{
		"new":                         {times(-time.Minute, -time.Minute, time.Hour), pod, ""},
		"kubelet refresh due":         {times(-50*time.Minute, -50*time.Minute, 10*time.Minute), pod, ""},
		"kubelet refresh overdue":     {times(-55*time.Minute, -55*time.Minute, 5*time.Minute), pod, StatusWarning},
		"old, not from the kubelet":   {times(-55*time.Minute, -55*time.Minute, 5*time.Minute), repo, ""},
		"expired":                     {times(-time.Hour, -time.Hour, 0), repo, StatusError},
		"small clock skew":            {times(time.Minute, time.Minute, time.Hour), repo, ""},
		"issued in the future":        {assertionTimes{issued: now.Add(10 * time.Minute), expires: now.Add(time.Hour)}, repo, StatusError},
		"not valid yet":               {times(-time.Minute, 10*time.Minute, time.Hour), repo, StatusError},
		"longest lifetime":            {times(0, 0, maxAssertionLifetime), repo, ""},
		"longer than that":            {times(0, 0, maxAssertionLifetime+time.Second), repo, StatusError},
		"no expiry":                   {assertionTimes{issued: now}, repo, StatusError},
		"no issue time or not-before": {assertionTimes{expires: now.Add(48 * time.Hour)}, repo, ""},
	} {
		t.Run(name, func(t *testing.T) {
			finding := c.times.problem(jwt.Claims{Subject: c.subject}, "no such file", now)
			isProblem := finding.Status == StatusError || finding.Status == StatusWarning
			if finding.Status != c.want || isProblem != (finding.Todo != "") {
				t.Errorf("%+v, want %q", finding, c.want)
			}
		})
	}
}

// The claims of a federated token cannot escape from the quotes in a command that users copy.
func FuzzFederatedCredentialCommand(f *testing.F) {
	f.Add("https://oidc.example/a/", "system:serviceaccount:a:b", "api://AzureADTokenExchange",
		"22222222-bbbb-4444-8888-000000000001")
	f.Add("https://x/'; rm -rf ~; '", "$(id)`id`", "api://x\n", "'")
	f.Add("https://x/${resourceGroup().id}", `a\' b`, "", "")
	f.Add("https://x/\x1b]8;;https://y\x07", "\u202e", strings.Repeat("a", 5000), "c")
	f.Fuzz(func(t *testing.T, issuer, subject, audience, client string) {
		r := Request{ClientID: client}
		if r.checkIDs(Method{}) != nil {
			return
		}
		claims := comparedClaims(
			jwt.Claims{Issuer: issuer, Subject: subject, Audience: []string{audience}})
		finding := federatedCredentialFinding(claims, r).Redacted()
		tokentest.WantRedacted(t, finding.Text)
		for _, line := range finding.Show {
			tokentest.WantRedacted(t, strings.TrimLeft(line, " "))
			if strings.HasPrefix(line, "az ") && !isSafeCommand(runtime.GOOS, line) {
				t.Errorf("special characters outside quotes: %s", line)
			}
		}
		wantLine := "    issuer: '" + issuer + "'"
		if len(finding.Show) > 0 && !slices.Contains(finding.Show, wantLine) {
			t.Errorf("%q is not the issuer in %q", issuer, finding.Show)
		}
	})
}

// isSafeCommand reports whether a shell of the system runs a line as one command, with the
// arguments as they are.
func isSafeCommand(goos, line string) bool {
	if goos == "windows" {
		unescaped := strings.ReplaceAll(line, `\"`, "")
		return !strings.ContainsAny(line, "%&|<>^!") && strings.Count(unescaped, `"`)%2 == 0
	}
	parts := strings.Split(line, "'")
	for i, part := range parts {
		if quoted := i%2 == 1; !quoted && strings.ContainsAny(part, "$`;&|<>\\\"") {
			return false
		}
	}
	return len(parts)%2 == 1
}

// A system's safe characters are safe in the commands for it.
func TestCommandsAreQuotedForTheSystem(t *testing.T) {
	for goos, want := range map[string]string{
		"linux":   `'{"a":"b"}'`,
		"windows": `"{\"a\":\"b\"}"`,
	} {
		sh := shellOf(goos)
		if got := sh.quote(`{"a":"b"}`); got != want {
			t.Errorf("%s: %s, want %s", goos, got, want)
		}
		for _, login := range []string{"workloadidentity", federatedManagedIdentityName} {
			lines := federatedCredentialCommands(sh, login, "id", sh.safe, sh.safe, sh.safe)
			for _, line := range lines {
				if strings.HasPrefix(line, "az ") && !isSafeCommand(goos, line) {
					t.Errorf("%s: special characters outside quotes: %s", goos, line)
				}
			}
		}
	}
}
