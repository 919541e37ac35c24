package token

import (
	"bytes"
	"context"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/akslogin/akslogin/token/internal/entra"
)

const workloadIdentityName = "workloadidentity"

// workloadIdentity exchanges a federated token for an access token (RFC 7523, section 2.2).
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
var workloadIdentity = Method{
	Name:     workloadIdentityName,
	About:    "a federated token: of a pod, of a job on GitHub Actions, of another CI system",
	Required: []string{"client-id", "tenant-id"},
	Optional: slices.Concat(
		entraFlags,
		[]string{"federated-token-file", "azure-token-proxy"},
		popFlags,
	),
	IdentityFlags: []string{"client-id"},
	SealedWith:    "the federated token; on GitHub Actions, the token that the job asks with",
	MissingHint: "give it in the kubeconfig's args; in a pod the Azure workload identity webhook sets the variables when the pod has the label " +
		`azure.workload.identity/use: "true" and its service account the annotation azure.workload.identity/client-id`,
	Stanza: Stanza{
		Flags: []string{"client-id", "tenant-id", "authority-host", "federated-token-file"},
	},
	Open: openWorkloadIdentity,

	Diagnose: diagnoseFederatedToken,
}

// openWorkloadIdentity takes the federated token from the file that somebody named, else from
// GitHub Actions where a job may ask for one, else from the file that the AKS webhook mounts.
func openWorkloadIdentity(r Request, w Options, wr entra.Client) (Login, error) {
	login := Login{Inputs: append(r.cacheInputs(wr), "proxy="+wr.TokenProxy.CacheKey())}
	if r.FederatedTokenFile == "" && onGitHubActions(w.Getenv) {
		return gitHubActionsLogin(login, r, w)
	}
	return federatedFileLogin(login, r, w.Getenv)
}

func federatedFileLogin(login Login, r Request, getenv func(string) string) (Login, error) {
	file := r.federatedTokenFile()
	if isJWT(file) {
		return Login{}, &UsageError{
			Text: "the federated token itself stands where the name of its file should" + r.sourceNote(
				"federated-token-file",
			),
			Hint: "write the token to a file that only you can read, and name that; it may have been logged where it stood",
		}
	}
	assertion, err := readFederatedToken(file)
	if err != nil {
		return Login{}, &federatedFileError{
			file:      file,
			from:      r.sourceNote("federated-token-file"),
			err:       err,
			knownHint: gitHubVariablesHint(r, getenv),
		}
	}
	login.Secret = assertion
	login.Inputs = append(login.Inputs, "source=file")
	login.NewCredential = func(a attempt) (azcore.TokenCredential, error) {
		return clientCredential{
			assertion: func(context.Context) (string, error) { return string(assertion), nil },
		}.tokenCredential(
			r,
			a,
		)
	}
	login.Rotated = func() bool {
		now, err := readFederatedToken(file)
		return err == nil && !bytes.Equal(now, assertion)
	}
	login.HintValues = func() map[string]string {
		facts := assertionHintValues(string(assertion), r)
		facts["source"] = file + r.sourceNote("federated-token-file")
		return facts
	}
	return login, nil
}
