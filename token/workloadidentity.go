package token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

const workloadIdentityName = "workloadidentity"

// workloadIdentity exchanges a federated token for an access token (RFC 7523, section 2.2).
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
var workloadIdentity = Method{
	Name:     workloadIdentityName,
	About:    "a federated token: of a pod, of a job on GitHub Actions, of another CI system",
	Needs:    []string{"client-id", "tenant-id"},
	Uses:     slices.Concat(asking, []string{"federated-token-file", "azure-token-proxy"}, pop),
	Own:      []string{"client-id"},
	Presents: "the federated token; on GitHub Actions, the token that the job asks with",
	Missing: "give it in the kubeconfig's args; in a pod the Azure workload identity webhook sets the variables when the pod has the label " +
		`azure.workload.identity/use: "true" and its service account the annotation azure.workload.identity/client-id`,
	Stanza: Stanza{Writes: []string{"client-id", "tenant-id", "authority-host", "federated-token-file"}},
	Open:   openWorkloadIdentity,

	Examine: examineFederatedToken,
}

// maxFederatedToken is many times the size of any federated token.
const maxFederatedToken = 64 << 10

// openWorkloadIdentity takes the federated token from the file that somebody named, else from GitHub Actions where a job may ask for
// one, else from the file that the AKS webhook mounts.
func openWorkloadIdentity(r Request, w World, wr wire) (Login, error) {
	login := Login{Inputs: append(r.inputs(wr), "proxy="+wr.proxy.identity())}
	if r.FederatedTokenFile == "" && onGitHub(w.Getenv) {
		return gitHubLogin(login, r, w)
	}
	return fileLogin(login, r, w.Getenv)
}

func fileLogin(login Login, r Request, getenv func(string) string) (Login, error) {
	file := r.federatedTokenFile()
	if isAssertion(file) {
		return Login{}, &UsageError{
			Text: "the federated token itself stands where the name of its file should" + r.from("federated-token-file"),
			Hint: "write the token to a file that only you can read, and name that; it may have been logged where it stood",
		}
	}
	assertion, err := readFederatedToken(file)
	if err != nil {
		return Login{}, &fileError{file: file, from: r.from("federated-token-file"), err: err, todo: halfOnGitHub(r, getenv)}
	}
	login.Secret = assertion
	login.Inputs = append(login.Inputs, "source=file")
	login.Credential = func(a attempt) (azcore.TokenCredential, error) {
		return application{assertion: func(context.Context) (string, error) { return string(assertion), nil }}.credential(r, a)
	}
	login.Replaced = func() bool {
		now, err := readFederatedToken(file)
		return err == nil && !bytes.Equal(now, assertion)
	}
	login.Facts = func() map[string]string {
		facts := assertionFacts(string(assertion), r)
		facts["source"] = file + r.from("federated-token-file")
		return facts
	}
	return login, nil
}

// isAssertion tells whether a federated token stands where the name of its file should.
func isAssertion(file string) bool {
	_, err := claimsOf(strings.TrimSpace(file))
	return err == nil
}

// readFederatedToken reads the token in file without the white space around it. What is not a JWT is an error that does not
// repeat it, as is more than 64 KiB.
func readFederatedToken(file string) ([]byte, error) {
	raw, err := readRegular(file, maxFederatedToken+1)
	if err != nil {
		return nil, err
	}
	return parseFederatedToken(raw)
}

// readRegular reads at most so many bytes of a regular file. Its errors leave out the path, which the sentence around them names.
func readRegular(file string, atMost int64) ([]byte, error) {
	fi, err := os.Stat(file) // follows the links that Kubernetes mounts tokens with
	if err != nil {
		return nil, bare(err)
	}
	if !fi.Mode().IsRegular() { // opening a pipe could wait for ever
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, atMost))
	return raw, bare(err)
}

func parseFederatedToken(raw []byte) ([]byte, error) {
	if len(raw) > maxFederatedToken {
		return nil, fmt.Errorf("it has more than %d bytes, and no federated token does", maxFederatedToken)
	}
	token := bytes.TrimSpace(raw)
	if len(token) == 0 {
		return nil, errors.New("it is empty")
	}
	if _, err := claimsOf(string(token)); err != nil {
		return nil, err
	}
	return token, nil
}

// bare is err without the path, which the sentence around it names already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// fileError says which file did not yield a federated token, and why.
type fileError struct {
	file, from string
	err        error
	todo       string // where more is known than the error tells
}

func (e *fileError) Error() string {
	return fmt.Sprintf("read the federated token in %q%s: %v", e.file, e.from, e.err)
}
func (e *fileError) Unwrap() error { return e.err }

// comparedClaims are what Entra ID compares with a federated credential, fit to be shown. "altered" is there where that is not all of it.
func comparedClaims(c claims) map[string]string {
	facts := map[string]string{}
	for name, value := range map[string]string{"issuer": c.Issuer, "subject": c.Subject, "assertion-audience": c.Audience.String()} {
		facts[name] = clean(value)
		if facts[name] != value {
			facts["altered"] = name
		}
	}
	return facts
}

// assertionFacts are the claims that Entra ID compares with the federated credential.
func assertionFacts(assertion string, r Request) map[string]string {
	c, err := claimsOf(assertion)
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
