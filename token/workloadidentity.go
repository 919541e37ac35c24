package token

import (
	"bytes"
	"context"
	"os"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/akslogin/akslogin/token/internal/entra"
)

const workloadIdentityName = "workloadidentity"

// workloadIdentity exchanges a federated token for an access token (RFC 7523, section 2.2).
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
var workloadIdentity = Method{
	Name:     workloadIdentityName,
	About:    "a federated token: of a pod or of a CI job",
	Required: []string{"client-id", "tenant-id"},
	Optional: slices.Concat(
		entraFlags,
		federatedTokenFlags,
		[]string{"azure-token-proxy"},
		popFlags,
	),
	IdentityFlags: []string{"client-id"},
	SealedWith:    "the federated token; in a CI job that asks for one, the token that it asks with",
	MissingHint: "give it in the kubeconfig's args; in a pod the Azure workload identity webhook sets the variables when the pod has the label " +
		`azure.workload.identity/use: "true" and its service account the annotation azure.workload.identity/client-id`,
	Stanza: Stanza{
		Flags:     slices.Concat([]string{"client-id", "tenant-id", "authority-host"}, federatedTokenFlags),
		Exclusive: federatedTokenFlags,
	},
	Detect: detectFederatedToken,
	NotDetected: struct{ Text, Hint string }{
		Text: "no federated token was found, and without one the login method is",
		Hint: "name the token's file with --federated-token-file or $AZURE_FEDERATED_TOKEN_FILE; the Azure workload identity webhook mounts it in a pod at " +
			WellKnownTokenFile + ". Other logins are named by --login",
	},
	UnmetNeed: federatedTokenNeed,
	Open:      openWorkloadIdentity,
	Diagnose:  diagnoseFederatedToken,
}

// detectFederatedToken reports whether there is a federated token: a file or variable is named, a
// CI system issues one, or the webhook has mounted one.
func detectFederatedToken(r Request, getenv func(string) string) bool {
	_, fromCI := findCISystem(r, getenv)
	_, err := os.Stat(WellKnownTokenFile)
	return r.namesFederatedToken() || fromCI || err == nil
}

// federatedTokenNeed is workloadIdentity's UnmetNeed: it returns a text that names the place in
// which there is no federated token, or "".
func federatedTokenNeed(r Request, getenv func(string) string) string {
	place, source := r.federatedTokenPlace()
	_, fromCI := findCISystem(r, getenv)
	inFile := func(file string) bool { return isJWT(file) || !isAbsent(file) } // opening refuses a JWT
	switch {
	case fromCI, getenv(r.FederatedTokenEnv) != "", r.FederatedTokenEnv == "" && inFile(place):
		return ""
	case r.From["federated-token-file"] == FromCluster &&
		(inFile(getenv("AZURE_FEDERATED_TOKEN_FILE")) || inFile(WellKnownTokenFile)):
		// A cluster must not select a later login by naming a file that does not exist.
		return ""
	}
	return "no federated token in " + place + source
}

// openWorkloadIdentity takes the federated token from the first of: the file or variable that the
// request names, a CI system whose job this is, the file that the AKS webhook mounts.
func openWorkloadIdentity(r Request, opts Options, client entra.Client) (Login, error) {
	login := Login{Inputs: append(r.cacheInputs(client), "proxy="+client.TokenProxy.CacheKey())}
	if c, ok := findCISystem(r, opts.Getenv); ok {
		return c.completeLogin(login, r, opts)
	}
	return federatedTokenLogin(login, r, opts.Getenv)
}

// federatedTokenLogin fills in login so that it uses the federated token in r's file or variable.
// The same token opens the same entry of the cache, wherever it is read.
func federatedTokenLogin(login Login, r Request, getenv func(string) string) (Login, error) {
	place, source := r.federatedTokenPlace()
	if isJWT(place) {
		return Login{}, &UsageError{
			Text: "the federated token itself stands where the name of its file should" + source,
			Hint: "write the token to a file that only you can read, and name that; the token may have been logged where it was given",
		}
	}
	assertion, err := r.readFederatedToken(getenv)
	if err != nil {
		return Login{}, &noFederatedTokenError{place, source, err, incompleteCIHint(r, getenv)}
	}
	login.Secret = assertion
	login.Inputs = append(login.Inputs, "source=file")
	login.NewCredential = func(a attempt) (azcore.TokenCredential, error) {
		returnAssertion := func(context.Context) (string, error) { return string(assertion), nil }
		return federatedCredential(returnAssertion, r, a)
	}
	login.Rotated = func() bool {
		if isPipe(r.federatedTokenFile()) { // read to its end
			return false
		}
		current, err := r.readFederatedToken(getenv)
		return err == nil && !bytes.Equal(current, assertion)
	}
	login.HintValues = func() map[string]string {
		values := assertionHintValues(string(assertion), r)
		values["source"] = place + source
		return values
	}
	return login, nil
}
