package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// diagnosed: doctor --server shows its token to the real API server, which says whom it takes it
// for, or refuses it.
func testDoctor(t *testing.T, c *cluster) {
	for name, test := range map[string]struct {
		flags     []string
		namespace string
		says      string // of the API server
		healthy   bool
	}{
		"taken":          {nil, "diagnosed", `(?m)^ok +API server +https://127\.0\.0\.1:\d+ takes it for user "OBJECT" in groups \[.*"system:authenticated".*\]`, true},
		"wrong audience": {[]string{"--server-id", otherServer}, "misled", `(?m)^wrong +API server +https://127\.0\.0\.1:\d+ refuses the token \(401\) -> `, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.newWorkload(t, test.namespace, test.flags...)
			w.entra.RegisterResource(homeTenant, otherServer)
			out, err := run(w.command(program(t, "akslogin"), "doctor", "--server", "--kubeconfig", w.kubeconfig))
			if (err == nil) != test.healthy {
				t.Error(err)
			}
			if says := regexp.MustCompile(strings.Replace(test.says, "OBJECT", w.objectID(), 1)); !says.MatchString(out) {
				t.Errorf("%s\nwant %s", out, says)
			}
			if test.healthy {
				w.expectRequests(t, "akslogin create selfsubjectreviews 201")
				w.expectOneToken(t)
			}
		})
	}
}
