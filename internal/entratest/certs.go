package entratest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"
)

// An authority is a certificate authority with one key, and one more for all its leaves.
type authority struct {
	cert *x509.Certificate
	pem  []byte
	key  *ecdsa.PrivateKey
	leaf *ecdsa.PrivateKey

	mu     sync.Mutex
	minted map[string]*tls.Certificate
	serial int64
	// what leaves are good for; zero: a day
	from, until time.Time
}

func newAuthority(tb TB, name string) *authority {
	a := &authority{minted: map[string]*tls.Certificate{}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		tb.Fatalf("entratest: %v", err)
	}
	if a.leaf, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		tb.Fatalf("entratest: %v", err)
	}
	der, err := a.sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}, nil)
	if err != nil {
		tb.Fatalf("entratest: %v", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		tb.Fatalf("entratest: %v", err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// sign makes a day's certificate: the authority's own when there is no parent.
func (a *authority) sign(template, parent *x509.Certificate) ([]byte, error) {
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(24 * time.Hour)
	if parent != nil && !a.from.IsZero() {
		template.NotBefore, template.NotAfter = a.from, a.until
	}
	if parent == nil {
		return x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	}
	return x509.CreateCertificate(rand.Reader, template, parent, a.leaf.Public(), a.key)
}

// certificate mints, once, the leaf for a server name or an address.
func (a *authority) certificate(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.minted[name]; c != nil {
		return c, nil
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := a.sign(template, a.cert)
	if err != nil {
		return nil, err
	}
	a.minted[name] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.leaf}
	return a.minted[name], nil
}

// mainCertificate knows the names behind the proxy and the loopback ones; a client without SNI asked for the address.
func (s *Server) mainCertificate(a *authority) certificates {
	known := append(hosts(), "localhost")
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		switch name := hello.ServerName; {
		case name == "":
			return a.certificate("127.0.0.1")
		case slices.Contains(known, name):
			return a.certificate(name)
		default:
			return nil, s.unexpectedName(name, "none of ours")
		}
	}
}

// tokenProxyCertificate requires the name given to [Server.SetSNI]; without one it knows the loopback names.
func (s *Server) tokenProxyCertificate(a *authority) certificates {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		switch want := s.requiredSNI(); {
		case want != "" && hello.ServerName != want:
			return nil, s.unexpectedName(hello.ServerName, "the token proxy wants "+want)
		case want != "":
			return a.certificate(want)
		case hello.ServerName == "":
			return a.certificate("127.0.0.1")
		case hello.ServerName == "localhost":
			return a.certificate("localhost")
		default:
			return nil, s.unexpectedName(hello.ServerName, "the token proxy has no name set")
		}
	}
}

func (s *Server) unexpectedName(name, why string) error {
	if s.enter() {
		defer s.work.Done()
		s.unexpected("TLS server name %q: %s", name, why)
	}
	return fmt.Errorf("no certificate for %q", name)
}
