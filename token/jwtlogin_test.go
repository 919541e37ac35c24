package token

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A federated token goes to the API server only if that accepts it for some seconds more, and
// cannot log in to Entra ID with it.
func TestCheckPresentedJWT(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	const exchange = "api://AzureADTokenExchange"
	for _, c := range []struct{ claims, want string }{
		{`{"aud":"my-api","exp":%d}`, "<nil>"},
		{`{"aud":["a","b"],"exp":%d.5}`, "<nil>"},
		{`{"aud":"my-api"}`, "no expiry"},
		{`{"aud":"my-api","exp":"tomorrow"}`, "not a JWT"},
		{`{"exp":1699999999}`, "it expired at"},
		{`{"exp":1700000000}`, "it expired at"},
		{`{"exp":1700000009}`, "it is about to expire"},
		{`{"aud":"` + exchange + `","exp":%d}`, "log in to Entra ID"},
		{`{"aud":["my-api","` + exchange + `China"],"exp":%d}`, "log in to Entra ID"},
	} {
		claims := strings.Replace(c.claims, "%d", fmt.Sprint(now.Unix()+3600), 1)
		encode := base64.RawURLEncoding.EncodeToString
		assertion := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + ".AA"
		if _, err := checkPresentedJWT(assertion, now); !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want %s", claims, err, c.want)
		}
	}
}
