package token

import (
	"crypto/rsa"
	"os"
	"path/filepath"
	"testing"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// A certificate file yields a private key and its certificate, or a redacted error.
func FuzzCertificate(f *testing.F) {
	dir := filepath.Join("..", "internal", "cli", "testdata", "certificate")
	for _, name := range []string{"client.pem", "client.pfx", "client-aes256.pfx"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, "akslogin")
		f.Add(content[:len(content)/2], "")
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"), "")
	f.Fuzz(func(t *testing.T, content []byte, password string) {
		certificates, key, err := parseCertificate(content, password)
		if err != nil {
			err = Request{ClientCertificate: "file"}.certificateError(err)
			tokentest.WantRedacted(t, Explain(err).Text)
			return
		}
		rsaKey, ok := key.(*rsa.PrivateKey)
		if !ok || len(certificates) == 0 || !rsaKey.PublicKey.Equal(certificates[0].PublicKey) {
			t.Fatalf("%T, %d certificates", key, len(certificates))
		}
	})
}
