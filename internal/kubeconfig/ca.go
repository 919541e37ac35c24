package kubeconfig

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// CADataKey is the field of a cluster that holds the CA's certificates, as PEM in base64.
const CADataKey = "certificate-authority-data"

// caFileKey is the field of a cluster that names a PEM file with the CA's certificates.
const caFileKey = "certificate-authority"

// ReadCA returns the certificates of a PEM file as EncodeCertificates does.
func ReadCA(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the cluster's CA: %w", err)
	}
	data, err := EncodeCertificates(raw)
	if err != nil {
		return "", fmt.Errorf("the cluster's CA in %s: %w", file, err)
	}
	return data, nil
}

// EncodeCertificates returns the certificates in PEM text as a value for CADataKey. Text between
// the PEM blocks and headers inside them are left out.
//
// A block that is not a certificate is an error, since it may be a private key, which must not be
// copied. So are a certificate that cannot be parsed, and a text without certificates. Errors quote
// only the type of a block.
func EncodeCertificates(raw []byte) (string, error) {
	var all []byte
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return "", fmt.Errorf("it contains a %s, and not only certificates", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", errors.New("it contains a CERTIFICATE block that is not a valid certificate")
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if len(all) == 0 {
		return "", errors.New("it contains no PEM certificate")
	}
	return base64.StdEncoding.EncodeToString(all), nil
}

// InlineCA returns a cluster's fields with the content of its CA file in place of the file's name,
// so that they work in a kubeconfig on another machine. kubeconfig is the path of the file that
// holds the fields; a relative CA file is relative to it. If CADataKey is set, it overrides the CA
// file, as it does in clients. InlineCA does not modify fields.
//
// Fields without a server are an error, and so is a CA file that ReadCA refuses.
func InlineCA(fields map[string]any, kubeconfig string) (map[string]any, error) {
	if server, _ := fields["server"].(string); server == "" {
		return nil, fmt.Errorf("the cluster in %s has no server", kubeconfig)
	}
	file, _ := fields[caFileKey].(string)
	if file == "" {
		return fields, nil
	}
	fields = maps.Clone(fields)
	delete(fields, caFileKey)
	if data, _ := fields[CADataKey].(string); data != "" {
		return fields, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(kubeconfig), file)
	}
	data, err := ReadCA(file)
	fields[CADataKey] = data
	return fields, err
}
