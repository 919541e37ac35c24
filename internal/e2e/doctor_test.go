package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// testDoctor checks that akslogin doctor --server sends its token to a real API server, and reports
// the user for whom the API server takes it, or that the API server refuses it.
func testDoctor(t *testing.T, c *cluster) {
	for name, test := range map[string]struct {
		flags     []string
		namespace string
		want      string // pattern of the line about the API server
		healthy   bool
	}{
		"accepted":       {nil, "diagnosed", `(?m)^ok +API server +https://127\.0\.0\.1:\d+ takes it for user "OBJECT" in groups \[.*"system:authenticated".*\]`, true},
		"wrong audience": {[]string{"--server-id", otherServer}, "misled", `(?m)^error +API server +https://127\.0\.0\.1:\d+ refuses the token \(401\) -> `, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.newWorkload(t, test.namespace, test.flags...)
			w.entra.RegisterResource(homeTenant, otherServer)
			args := []string{"doctor", "--server", "--kubeconfig", w.kubeconfig}
			out, err := run(w.command(program(t, "akslogin"), args...))
			if (err == nil) != test.healthy {
				t.Error(err)
			}
			want := strings.Replace(test.want, "OBJECT", w.objectID(), 1)
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%s\nwant %s", out, want)
			}
			if test.healthy {
				w.expectRequests(t, "akslogin create selfsubjectreviews 201")
				w.expectOneToken(t)
			}
		})
	}
}
