package token

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/akslogin/akslogin/token/internal/jwt"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// namesFederatedToken reports whether r says where the federated token is.
func (r Request) namesFederatedToken() bool {
	return r.FederatedTokenFile != "" || r.FederatedTokenEnv != ""
}

// federatedTokenFile returns the path of the file that r's federated token is read from. It is ""
// if the token is in a variable.
func (r Request) federatedTokenFile() string {
	if r.namesFederatedToken() {
		return r.FederatedTokenFile
	}
	return WellKnownTokenFile
}

// federatedTokenPlace returns the file or the variable, as $NAME, that r's federated token is read
// from, and a note as of sourceNote.
func (r Request) federatedTokenPlace() (place, source string) {
	if r.FederatedTokenEnv != "" {
		return "$" + r.FederatedTokenEnv, r.sourceNote("federated-token-env")
	}
	return r.federatedTokenFile(), r.sourceNote("federated-token-file")
}

// maxFederatedToken is many times the size of any federated token, in bytes.
const maxFederatedToken = 64 << 10

// isJWT reports whether file is a federated token that was given in place of its file's name.
func isJWT(file string) bool {
	_, err := jwt.Parse(strings.TrimSpace(file))
	return err == nil
}

var errVariableUnset = errors.New("the variable is not set")

// readFederatedToken returns the token in r's file or variable, without white space around it.
// Content that is not a JWT, or is larger than 64 KiB, is an error that does not quote it.
func (r Request) readFederatedToken(getenv func(string) string) ([]byte, error) {
	if r.FederatedTokenEnv != "" {
		value := getenv(r.FederatedTokenEnv)
		if value == "" {
			return nil, errVariableUnset
		}
		return parseFederatedToken([]byte(value))
	}
	raw, err := r.readSecretFile(r.federatedTokenFile(), maxFederatedToken+1)
	if err != nil {
		return nil, err
	}
	return parseFederatedToken(raw)
}

func parseFederatedToken(raw []byte) ([]byte, error) {
	if len(raw) > maxFederatedToken {
		return nil, fmt.Errorf(
			"it has more than %d bytes, so it is not a federated token", maxFederatedToken,
		)
	}
	token := bytes.TrimSpace(raw)
	if len(token) == 0 {
		return nil, errors.New("it is empty")
	}
	if _, err := jwt.Parse(string(token)); err != nil {
		if bytes.IndexByte(token, 0) >= 0 {
			err = errUTF16
		}
		return nil, err
	}
	redact.Remember(string(token))
	return token, nil
}

// comparedClaims returns the claims that Entra ID compares with a federated credential, redacted.
// The key "redactedClaim" is set if redaction changed one of them.
func comparedClaims(c jwt.Claims) map[string]string {
	values := map[string]string{}
	for name, value := range map[string]string{
		"issuer":             c.Issuer,
		"subject":            c.Subject,
		"assertion-audience": c.Audience.String(),
	} {
		values[name] = redact.Excerpt(value)
		if values[name] != value {
			values["redactedClaim"] = name
		}
	}
	return values
}

// assertionHintValues returns what hints say about a federated token. The key "otherHint" has a
// hint for a token that was not issued for Entra ID. The result is empty if the token cannot be
// parsed.
func assertionHintValues(assertion string, r Request) map[string]string {
	c, err := jwt.Parse(assertion)
	if err != nil {
		return map[string]string{}
	}
	values := comparedClaims(c)
	values["subject-note"] = subjectNote(c)
	if c.Expires > 0 {
		values["expires"] = time.Unix(int64(c.Expires), 0).UTC().Format(time.RFC3339)
	}
	switch {
	case strings.HasPrefix(c.Issuer, "https://kubernetes.default"),
		!strings.HasPrefix(c.Issuer, "https://"):
		values["otherHint"] = "only the cluster itself can reach the issuer {issuer} of the federated token from {source}: the cluster needs an OIDC issuer on the internet (az aks update --enable-oidc-issuer)"
	case !strings.HasPrefix(c.Audience.String(), "api://"):
		values["otherHint"] = "the federated token from {source} is for audience {assertion-audience} , and Entra ID wants {exchange-audience} " +
			"unless the federated credential names another: use the token projected for it (" + WellKnownTokenFile + "), not the service account's default one"
	}
	return values
}

// subjectNotes are notes about frequent mistakes in the federated credential for a token, by a part
// of the token's issuer, or else by the beginning of its subject. The first match counts.
var subjectNotes = []struct{ issuer, subject, note string }{
	{"", "system:serviceaccount:", "; each service account needs one (with Airflow: scheduler, worker and triggerer)"},
	{"token.actions.githubusercontent.com", "repo:", "; on GitHub the subject depends on the job's environment, branch, tag or pull request, and on whether the repository has immutable subjects (repo:OWNER@ID/REPO@ID): the credential needs the same form"},
	{"gitlab", "project_path:", "; on GitLab each branch and tag has a subject of its own (project_path:GROUP/PROJECT:ref_type:branch:ref:NAME)"},
	{"app.terraform.io", "organization:", "; in HCP Terraform plan and apply have different subjects (run_phase) and need one each"},
	{"vstoken.dev.azure.com", "sc://", "; in Azure DevOps copy issuer and subject from the service connection: they change with its name and project"},
	{"", "/eid1/", "; in Azure DevOps copy issuer and subject from the service connection"},
}

// subjectNote returns the note for a token that matches no federated credential, or "".
func subjectNote(c jwt.Claims) string {
	for _, n := range subjectNotes {
		if n.issuer != "" && strings.Contains(c.Issuer, n.issuer) ||
			strings.HasPrefix(c.Subject, n.subject) {
			return n.note
		}
	}
	return ""
}

// noFederatedTokenError says that a file or variable yields no federated token.
type noFederatedTokenError struct {
	place, source string // as of Request.federatedTokenPlace
	err           error
	knownHint     string // hint that replaces the one derived from err; may be ""
}

func (e *noFederatedTokenError) Error() string {
	return fmt.Sprintf("read the federated token in %q%s: %v", e.place, e.source, e.err)
}

func (e *noFederatedTokenError) Unwrap() error { return e.err }

func (e *noFederatedTokenError) hint() string {
	switch {
	case e.knownHint != "":
		return e.knownHint
	case errors.Is(e.err, errVariableUnset):
		return "the job that runs the client must set it: GitLab with id_tokens, AzureCLI@2 with " +
			"addSpnToEnvironment (idToken), HCP Terraform with TFC_WORKLOAD_IDENTITY_AUDIENCE; " +
			"a step or container sees only what is passed on to it"
	case errors.Is(e.err, fs.ErrNotExist):
		return `in a pod, the Azure workload identity webhook mounts it if the pod was created with the label azure.workload.identity/use: "true" ; other pods must be recreated. ` +
			"On Astro, authorize the Deployment's workload identity. Elsewhere name the file with --federated-token-file"
	case errors.Is(e.err, fs.ErrPermission):
		return "this user must be able to read it: in a pod, set securityContext.fsGroup"
	case errors.As(e.err, new(syscall.Errno)):
		return "the system cannot read the file: check what is mounted at that path, and what " +
			"the machine lacks; a pod that is recreated gets a new mount"
	}
	return "it must contain the token that the cluster or CI system issued, and nothing else"
}
