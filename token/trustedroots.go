package token

import "crypto/x509"

// maxCertFile limits how much of the file in $SSL_CERT_FILE is read for a message.
const maxCertFile = 4 << 20

// certStores are the systems on which crypto/x509 uses the system's certificates and does not read
// $SSL_CERT_FILE and $SSL_CERT_DIR, by runtime.GOOS.
var certStores = map[string]struct{ system, place string }{
	"darwin":  {"macOS", "in the keychain, as trusted (security add-trusted-cert)"},
	"windows": {"Windows", "among the trusted root certificates (certmgr.msc)"},
}

// rootsHint returns where the certificate of a CA belongs, as the end of a sentence.
func rootsHint(goos string, getenv func(string) string) string {
	if store, ok := certStores[goos]; ok {
		return store.place + "; $SSL_CERT_FILE is not read on " + store.system
	}
	const place = "in the file that $SSL_CERT_FILE names"
	if file := getenv("SSL_CERT_FILE"); file != "" {
		return place + certFileProblem(file)
	}
	return place + "; an image without CA certificates needs the package ca-certificates"
}

// rootsNote says which variable names the trusted certificates, as the end of a sentence. It
// returns "" if none is set.
func rootsNote(goos string, getenv func(string) string) string {
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		value := getenv(name)
		if value == "" {
			continue
		}
		if store, ok := certStores[goos]; ok {
			return "; $" + name + " is not read on " + store.system
		}
		note := "; $" + name + " names the trusted certificates"
		if name == "SSL_CERT_FILE" {
			note += certFileProblem(value)
		}
		return note
	}
	return ""
}

// certFileProblem says why a file has no certificates to trust, as the end of a sentence. It
// returns "" if it has some.
func certFileProblem(file string) string {
	raw, err := readRegularFile(file, maxCertFile)
	switch {
	case err != nil:
		return ", but " + file + " cannot be read: " + err.Error()
	case !x509.NewCertPool().AppendCertsFromPEM(raw):
		return ", but " + file + " has no certificates (PEM)"
	}
	return ""
}
