package token

import (
	"crypto/rsa"
	"os"
	"path/filepath"
	"testing"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// A certificate's file yields a certificate of its private key, or an error in words.
func FuzzCertificate(f *testing.F) {
	for _, name := range []string{"client.pem", "client.pfx", "client-aes256.pfx"} {
		file, err := os.ReadFile(filepath.Join("..", "internal", "cli", "testdata", "certificate", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file, "akslogin")
		f.Add(file[:len(file)/2], "")
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"), "")
	f.Fuzz(func(t *testing.T, file []byte, password string) {
		certificates, key, err := parseCertificate(file, password)
		if err != nil {
			tokentest.WantRedacted(t, Explain(Request{ClientCertificate: "file"}.certificateError(err)).Text)
			return
		}
		if k, ok := key.(*rsa.PrivateKey); !ok || len(certificates) == 0 || !k.PublicKey.Equal(certificates[0].PublicKey) {
			t.Fatalf("%T, %d certificates", key, len(certificates))
		}
	})
}
