package entratest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"sync"
	"time"
)

// A signer is an RSA key with its key ID and a self-signed certificate.
type signer struct {
	key  *rsa.PrivateKey
	kid  string
	cert []byte // DER
}

// entraKey signs access tokens and issuerKey signs federated tokens. Each is generated once a
// process, since that is slow.
var (
	entraKey  = generateOnce("accounts.accesscontrol.windows.net")
	issuerKey = generateOnce("oidc.example")
)

// generateOnce returns a function that generates a signer on its first call.
func generateOnce(name string) func() signer {
	return sync.OnceValue(func() signer { return newSigner(name) })
}

// newSigner generates a key. It panics only if the system has no randomness.
func newSigner(name string) signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(5, 0, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	thumbprint := sha1.Sum(cert)
	return signer{key: key, kid: base64.RawURLEncoding.EncodeToString(thumbprint[:]), cert: cert}
}

var clientCertificates sync.Map // name to func() signer

// ClientCertificate returns a self-signed certificate for a client, and its key. It generates them
// once a process for each name.
func ClientCertificate(name string) (*x509.Certificate, *rsa.PrivateKey) {
	generate, _ := clientCertificates.LoadOrStore(name, generateOnce(name))
	k := generate.(func() signer)()
	c, err := x509.ParseCertificate(k.cert)
	if err != nil {
		panic(err) // newSigner made it
	}
	return c, k.key
}
