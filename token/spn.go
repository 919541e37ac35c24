package token

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// servicePrincipal logs in as an application, with its secret or certificate.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
var servicePrincipal = Method{
	Name:     "spn",
	About:    "an application's secret or certificate",
	Required: []string{"client-id", "tenant-id", "client-secret|client-certificate"},
	Optional: slices.Concat(
		entraFlags,
		[]string{"client-certificate-password", "legacy"},
		popFlags,
	),
	IdentityFlags: []string{"client-id"},
	MissingHint:   "an application's IDs are in its registration in the tenant; only its creator has its secret or certificate",
	Hints: map[int]string{
		700027: "the {source} (thumbprint {thumbprint}) is not one of client ID {client}: add it to the application, or name the one that is there; it may have expired",
		50013:  "the {source} (thumbprint {thumbprint}) is not one of client ID {client}",
		700024: "the {source} signed an assertion that has expired or is not yet valid, and it is {now} here: this machine's clock is wrong",
	},
	SealedWith: "the secret, or the certificate's file and password",
	Stanza: Stanza{
		Flags: slices.Concat(
			accountFlags,
			[]string{
				"client-secret",
				"client-certificate",
				"client-certificate-password",
			},
			popFlags,
		),
		Inherited: slices.Concat(accountFlags, popFlags),
		Required:  identityFlags,
	},
	UnmetNeed: certificateNeed,
	Open:      openServicePrincipal,
	Diagnose:  diagnoseCertificate,
}

// prefersSecret reports whether the login uses the secret. If both are given the certificate wins,
// as in kubelogin, unless it comes only from the environment and the secret does not.
func (r Request) prefersSecret() bool {
	return r.ClientCertificate == "" ||
		r.ClientSecret != "" && r.setExplicitly("client-secret") &&
			!r.setExplicitly("client-certificate")
}

func certificateNeed(r Request, _ func(string) string) string {
	if r.prefersSecret() || !isAbsent(r.ClientCertificate) {
		return ""
	}
	return "no certificate in " + r.ClientCertificate + r.sourceNote("client-certificate")
}

func openServicePrincipal(r Request, _ Options, client entra.Client) (Login, error) {
	if r.prefersSecret() {
		return Login{
			Secret: []byte(r.ClientSecret),
			Inputs: append(r.cacheInputs(client), "with=secret"),
			NewCredential: func(a attempt) (azcore.TokenCredential, error) {
				return clientCredential{secret: r.ClientSecret}.tokenCredential(r, a)
			},
			HintValues: func() map[string]string {
				return map[string]string{"source": "secret" + r.sourceNote("client-secret")}
			},
		}, nil
	}
	file, err := r.readCertificateFile()
	if err != nil {
		return Login{}, r.certificateError(err)
	}
	// The hash of the file seals, because the file has the private key in it. A cache hit does not
	// decrypt the key, which may cost thousands of rounds of hashing.
	hash := sha256.Sum256(file)
	return Login{
		Secret: append(hash[:], r.ClientCertificatePassword...),
		Inputs: append(r.cacheInputs(client), "with=certificate"),
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			certificates, key, err := parseCertificate(file, r.ClientCertificatePassword)
			if err != nil {
				return nil, r.certificateError(err)
			}
			return clientCredential{certificates: certificates, key: key}.tokenCredential(r, a)
		},
		HintValues: func() map[string]string {
			source := r.ClientCertificate + r.sourceNote("client-certificate")
			values := map[string]string{"source": "certificate in " + source}
			certificates, _, err := parseCertificate(file, r.ClientCertificatePassword)
			if err == nil {
				values["thumbprint"] = thumbprint(certificates[0])
			}
			return values
		},
	}, nil
}

// thumbprint returns the SHA-1 thumbprint of c, as Azure's portal shows it.
func thumbprint(c *x509.Certificate) string { return fmt.Sprintf("%X", sha1.Sum(c.Raw)) }

// maxCertificateFile is many times the size of a file with a certificate and its chain, in bytes.
const maxCertificateFile = 1 << 20

func (r Request) readCertificateFile() ([]byte, error) {
	file, err := r.readSecretFile(r.ClientCertificate, maxCertificateFile+1)
	if err == nil && len(file) > maxCertificateFile {
		err = fmt.Errorf("it has more than %d bytes", maxCertificateFile)
	}
	return file, err
}

// certificateExpiryWarning is how long before its expiry a certificate is a warning in a diagnosis.
const certificateExpiryWarning = 14 * 24 * time.Hour

// diagnoseCertificate reports when the certificate is valid. It returns nothing if the file cannot
// be read, because Open reports that.
func diagnoseCertificate(r Request, opts Options) []Finding {
	if r.prefersSecret() {
		return nil
	}
	file, err := r.readCertificateFile()
	if err != nil {
		return nil
	}
	found := Finding{Status: StatusError, Check: "certificate"}
	source := r.sourceNote("client-certificate")
	certificates, _, err := parseCertificate(file, r.ClientCertificatePassword)
	if err != nil {
		found.Text = fmt.Sprintf("%q%s: %v", r.ClientCertificate, source, err)
		found.Todo = certificateHint
		return []Finding{found}
	}
	c, now := certificates[0], opts.Now()
	found.Text = fmt.Sprintf(
		"%s%s: thumbprint %s, valid from %s until %s",
		r.ClientCertificate, source, thumbprint(c), formatTime(c.NotBefore), formatTime(c.NotAfter),
	)
	switch {
	case now.After(c.NotAfter):
		found.Todo = "it has expired: make another one and add it to the application"
	case now.Before(c.NotBefore):
		found.Todo = "it is not yet valid, or this machine's clock is wrong (it is " + formatTime(now) + " here)"
	case now.Add(certificateExpiryWarning).After(c.NotAfter):
		found.Status = StatusWarning
		found.Todo = "it expires in " + formatDuration(c.NotAfter.Sub(now)) +
			": add its successor to the application before then"
	default:
		found.Status = StatusOK
	}
	return []Finding{found}
}

func (r Request) certificateError(err error) error {
	source := r.sourceNote("client-certificate")
	return &UsageError{
		Text: fmt.Sprintf("read the certificate in %q%s: %v", r.ClientCertificate, source, err),
		Hint: certificateHint,
	}
}

const certificateHint = "the file must contain the certificate and its private key: PEM without " +
	"a password, or PFX (PKCS #12) with the password in --client-certificate-password"

// parseCertificate reads a certificate, its chain and its RSA key from PEM or from PKCS #12, in any
// encryption that OpenSSL and Windows write. The key's certificate comes first in the result.
func parseCertificate(
	file []byte,
	password string,
) ([]*x509.Certificate, crypto.PrivateKey, error) {
	certificates, key, err := decodeCertificate(file, password)
	if err != nil {
		return nil, nil, err
	}
	rsaKey, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("its private key is not an RSA key, and Entra ID accepts no " +
			"other")
	}
	for i, c := range certificates {
		if rsaKey.PublicKey.Equal(c.PublicKey) {
			certificates[0], certificates[i] = certificates[i], certificates[0]
			return certificates, key, nil
		}
	}
	return nil, nil, errors.New("none of its certificates matches the private key")
}

func decodeCertificate(
	file []byte,
	password string,
) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if block, _ := pem.Decode(file); block != nil {
		return azidentity.ParseCertificates(file, nil)
	}
	key, leaf, chain, err := pkcs12.DecodeChain(file, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, nil, errors.New("the password is incorrect")
	case err != nil:
		return nil, nil, fmt.Errorf("it is neither PEM nor PFX: %w", err)
	}
	return slices.Insert(chain, 0, leaf), key, nil
}
