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

// The CA's fields in a cluster's entry.
const (
	caFileKey = "certificate-authority"

	CADataKey = "certificate-authority-data"
)

// ReadCA returns a file's certificates as a kubeconfig holds them.
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

// EncodeCertificates returns the certificates of a PEM file, and no more than these, in base64.
// Anything else in it may be a key.
func EncodeCertificates(raw []byte) (string, error) {
	var all []byte
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return "", fmt.Errorf("it holds a %s beside certificates", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", errors.New("it holds what is no certificate")
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if len(all) == 0 {
		return "", errors.New("it holds no certificate in PEM")
	}
	return base64.StdEncoding.EncodeToString(all), nil
}

// InlineCA returns a cluster's fields with its CA's file read into them, since the file may not be
// where the new kubeconfig is used.
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
	if data, _ := fields[CADataKey].(string); data != "" { // this is what clients take then
		return fields, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(kubeconfig), file)
	}
	data, err := ReadCA(file)
	fields[CADataKey] = data
	return fields, err
}
