package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issuer is an OIDC issuer, as of a CI system, that the API server trusts beside Entra ID.
type issuer struct {
	server *httptest.Server
	key    *rsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	mux := http.NewServeMux()
	serve := func(path string, document func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(document())
		})
	}
	i.server = httptest.NewTLSServer(mux)
	t.Cleanup(i.server.Close)
	serve("/.well-known/openid-configuration", func() any {
		return map[string]any{
			"issuer":                                i.server.URL,
			"jwks_uri":                              i.server.URL + "/keys",
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		}
	})
	serve("/keys", func() any {
		encode := base64.RawURLEncoding.EncodeToString
		return map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1",
			"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
		}}}
	})
	return i
}

func (i *issuer) caPEM() []byte {
	certificate := i.server.Certificate().Raw
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}

// token returns a token of the issuer.
func (i *issuer) token(t *testing.T, subject, audience string, lifetime time.Duration) string {
	t.Helper()
	now := time.Now()
	part := func(v map[string]any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	signed := part(map[string]any{"alg": "RS256", "kid": "1", "typ": "JWT"}) + "." +
		part(map[string]any{
			"iss": i.server.URL, "sub": subject, "aud": audience,
			"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(lifetime).Unix(),
		})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// testJWTLogin checks that login jwt hands a token of another issuer to the API server, and asks
// nobody for one.
func testJWTLogin(t *testing.T, c *cluster) {
	w := c.newWorkload(t, "jwt")
	file := filepath.Join(w.home, "token")
	write := func(audience string, lifetime time.Duration) {
		t.Helper()
		token := c.issuer.token(t, "job", audience, lifetime)
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("my-api", time.Hour)
	w.kubeconfig = w.writeConfig(t, "yaml", "--login", "jwt", "--federated-token-file", file)
	eventually(t, func() error { _, err := w.kubectl(t, "auth", "whoami"); return err })
	who, err := w.kubectl(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
	if err != nil || who != "ci:job" {
		t.Errorf("the user is %q, %v", who, err)
	}
	if out, err := w.kubectl(t, "get", "pods", "-o", "name"); err != nil || out != "" {
		t.Errorf("%q, %v", out, err)
	}
	for _, refused := range []struct {
		audience string
		lifetime time.Duration
		by       string
	}{
		{"my-api", -time.Minute, "it expired at"},
		{"another-api", time.Hour, "Unauthorized"},
		{"api://AzureADTokenExchange", time.Hour, "with it an API server could log in to Entra ID"},
	} {
		write(refused.audience, refused.lifetime)
		_, err := w.kubectl(t, "get", "pods")
		if err == nil || !strings.Contains(err.Error(), refused.by) {
			t.Errorf("audience %s, %s: %v, want %s", refused.audience, refused.lifetime, err, refused.by)
		}
	}
	if n := w.entra.TokenRequests(); n != 0 {
		t.Errorf("%d token requests", n)
	}
}
