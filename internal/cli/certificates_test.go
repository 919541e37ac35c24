package cli

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// certificateDir holds the certificate of client with its key, for tests only: as PEM, and as PFX
// in the encryption of OpenSSL before version 3 and since. The folder says how it was created.
const (
	certificateDir      = "testdata/certificate"
	certificatePassword = "pfx-password-in-tests"
)

// appCertificates are the registered certificates by client ID.
var appCertificates = sync.OnceValue(func() map[string][]*x509.Certificate {
	raw, err := os.ReadFile(filepath.Join(certificateDir, "client.pem"))
	if err != nil {
		panic(err)
	}
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				panic(err)
			}
			return map[string][]*x509.Certificate{client: {certificate}}
		}
	}
	panic("no certificate in " + certificateDir)
})

// untrustedCertificate is a certificate with its key, in PEM, that is not registered.
var untrustedCertificate = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "unknown"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
})

// writeCertificates writes the files $CERT, $PFX, $MODERN_PFX and $UNKNOWN_CERT to a script's work
// folder, and sets these variables and $PFX_PASSWORD.
func writeCertificates(env *testscript.Env) error {
	files := map[string][]byte{"UNKNOWN_CERT": untrustedCertificate()}
	for variable, name := range map[string]string{
		"CERT": "client.pem", "PFX": "client.pfx", "MODERN_PFX": "client-aes256.pfx",
	} {
		content, err := os.ReadFile(filepath.Join(certificateDir, name))
		if err != nil {
			return err
		}
		files[variable] = content
	}
	folder := filepath.Join(env.WorkDir, "certificates")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	for variable, content := range files {
		path := filepath.Join(folder, strings.ToLower(variable))
		env.Setenv(variable, path)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	env.Setenv("PFX_PASSWORD", certificatePassword)
	return nil
}
