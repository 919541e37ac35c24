//go:debug x509usefallbackroots=1

package cli

import (
	"crypto/x509"
	"os"
	"runtime"
)

// trustEmulator makes the program trust the certificates in $SSL_CERT_FILE where crypto/x509 does
// not read that variable.
func trustEmulator() {
	file := os.Getenv("SSL_CERT_FILE")
	if file == "" || runtime.GOOS != "windows" && runtime.GOOS != "darwin" {
		return
	}
	roots := x509.NewCertPool()
	if certificates, err := os.ReadFile(file); err == nil {
		roots.AppendCertsFromPEM(certificates)
	}
	x509.SetFallbackRoots(roots)
}
