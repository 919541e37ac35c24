package token

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/jwt"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// maxFederatedToken is many times the size of any federated token.
const maxFederatedToken = 64 << 10

// isJWT tells whether a federated token stands where the name of its file should.
func isJWT(file string) bool {
	_, err := jwt.Parse(strings.TrimSpace(file))
	return err == nil
}

// readFederatedToken reads the token in file without the white space around it. What is not a JWT
// is an error that does not repeat it, as is more than 64 KiB.
func readFederatedToken(file string) ([]byte, error) {
	raw, err := readRegularFile(file, maxFederatedToken+1)
	if err != nil {
		return nil, err
	}
	return parseFederatedToken(raw)
}

func parseFederatedToken(raw []byte) ([]byte, error) {
	if len(raw) > maxFederatedToken {
		return nil, fmt.Errorf(
			"it has more than %d bytes, and no federated token does",
			maxFederatedToken,
		)
	}
	token := bytes.TrimSpace(raw)
	if len(token) == 0 {
		return nil, errors.New("it is empty")
	}
	if _, err := jwt.Parse(string(token)); err != nil {
		return nil, err
	}
	return token, nil
}

// comparedClaims are what Entra ID compares with a federated credential, fit to be shown. "altered"
// is there where that is not all of it.
func comparedClaims(c jwt.Claims) map[string]string {
	facts := map[string]string{}
	for name, value := range map[string]string{"issuer": c.Issuer, "subject": c.Subject, "assertion-audience": c.Audience.String()} {
		facts[name] = redact.Excerpt(value)
		if facts[name] != value {
			facts["altered"] = name
		}
	}
	return facts
}

// assertionHintValues are the claims that Entra ID compares with the federated credential.
func assertionHintValues(assertion string, r Request) map[string]string {
	c, err := jwt.Parse(assertion)
	if err != nil {
		return map[string]string{}
	}
	facts := comparedClaims(c)
	if c.Expires > 0 {
		facts["expires"] = time.Unix(int64(c.Expires), 0).UTC().Format(time.RFC3339)
	}
	switch {
	case strings.HasPrefix(c.Issuer, "https://kubernetes.default") || !strings.HasPrefix(c.Issuer, "https://"):
		facts["elsewhere"] = "the issuer {issuer} of the federated token from {source} is one that only its cluster can reach: the cluster needs an OIDC issuer on the internet (az aks update --enable-oidc-issuer)"
	case !strings.HasPrefix(c.Audience.String(), "api://"):
		facts["elsewhere"] = "the federated token from {source} is for audience {assertion-audience} , and Entra ID wants {wanted} " +
			"unless the federated credential names another: use the token projected for it (" + WellKnownTokenFile + "), not the service account's default one"
	}
	return facts
}

func (r Request) federatedTokenFile() string {
	if r.FederatedTokenFile != "" {
		return r.FederatedTokenFile
	}
	return WellKnownTokenFile
}
