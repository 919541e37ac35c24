package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Names of files in the directory.
const (
	servingCert       = "serving.crt"
	servingKey        = "serving.key"
	clientCA          = "client-ca.crt"
	serviceAccountKey = "service-account.key"
	adminKubeconfig   = "admin.kubeconfig"
	servingCA         = "ca.crt"
)

// pair is a private key and its certificate.
type pair struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// issue creates a key and a certificate signed by issuer. A nil issuer means a self-signed CA.
func issue(template x509.Certificate, issuer *pair) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	now := time.Now()
	template.NotBefore, template.NotAfter = now.Add(-time.Minute), now.Add(24*time.Hour)
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return pair{}, err
	}
	parent, signer := &template, crypto.Signer(key)
	if issuer == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage = x509.KeyUsageCertSign
	} else {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		return pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return pair{key, cert}, err
}

func (p pair) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw})
}

func (p pair) keyPEM() []byte {
	der, err := x509.MarshalECPrivateKey(p.key)
	if err != nil {
		panic(err) // impossible: issue generated the key on a supported curve
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

// writePKI writes the API server's keys and certificates, and a kubeconfig of a user who may do
// everything. Server certificates and client certificates have different CAs.
func writePKI(dir, address string) error {
	serving, err := issue(x509.Certificate{Subject: pkix.Name{CommonName: "e2e serving CA"}}, nil)
	if err != nil {
		return err
	}
	server, err := issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &serving)
	if err != nil {
		return err
	}
	clients, err := issue(x509.Certificate{Subject: pkix.Name{CommonName: "e2e client CA"}}, nil)
	if err != nil {
		return err
	}
	admin, err := issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, &clients)
	if err != nil {
		return err
	}
	accounts, err := issue(x509.Certificate{}, nil)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		servingCA: serving.certPEM(), servingCert: server.certPEM(), servingKey: server.keyPEM(),
		clientCA: clients.certPEM(), serviceAccountKey: accounts.keyPEM(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["e2e"] = &clientcmdapi.Cluster{
		Server:                   address,
		CertificateAuthorityData: serving.certPEM(),
	}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{
		ClientCertificateData: admin.certPEM(),
		ClientKeyData:         admin.keyPEM(),
	}
	config.Contexts["admin"] = &clientcmdapi.Context{Cluster: "e2e", AuthInfo: "admin"}
	config.CurrentContext = "admin"
	return clientcmd.WriteToFile(*config, filepath.Join(dir, adminKubeconfig))
}
