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

// A signer is an RSA key with the names under which it is published.
type signer struct {
	key  *rsa.PrivateKey
	kid  string
	cert []byte // DER
}

// entraKey signs access tokens, issuerKey federated ones; each is made once a process, as that
// takes a while.
var (
	entraKey = sync.OnceValue(
		func() signer { return newSigner("accounts.accesscontrol.windows.net") },
	)
	issuerKey = sync.OnceValue(func() signer { return newSigner("oidc.example") })
)

// newSigner panics when it fails, which only happens when the system has no randomness.
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

var clientCertificates sync.Map // of certificates by name

// ClientCertificate is a self-signed certificate for a client and its key, made once a process for
// each name.
func ClientCertificate(name string) (*x509.Certificate, *rsa.PrivateKey) {
	made, _ := clientCertificates.LoadOrStore(
		name,
		sync.OnceValue(func() signer { return newSigner(name) }),
	)
	k := made.(func() signer)()
	c, err := x509.ParseCertificate(k.cert)
	if err != nil {
		panic(err) // newSigner made it
	}
	return c, k.key
}
