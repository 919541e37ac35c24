package token

import (
	"net/http"
)

// gitHubActions gives a job that has the permission "id-token: write" an address to ask for
// federated tokens, and a token to ask with.
// https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
var gitHubActions = ciSystem{
	name:          "GitHub Actions",
	urlVariable:   "ACTIONS_ID_TOKEN_REQUEST_URL",
	tokenVariable: "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
	httpMethod:    http.MethodGet,
	header:        map[string]string{"Accept": "application/json; api-version=2.0"},
	tokenField:    "value",
	refusedHint:   "the job needs the permission id-token: write, and may ask only while it runs",
}

func onGitHubActions(getenv func(string) string) bool {
	return getenv(gitHubActions.urlVariable) != "" && getenv(gitHubActions.tokenVariable) != ""
}

// gitHubVariablesHint is what to do where a job's leave to ask for federated tokens is not whole;
// "" where it is, or is none.
func gitHubVariablesHint(r Request, getenv func(string) string) string {
	if r.FederatedTokenFile == "" &&
		(getenv(gitHubActions.urlVariable) == "") != (getenv(gitHubActions.tokenVariable) == "") {
		return "of $" + gitHubActions.urlVariable + " and $" + gitHubActions.tokenVariable + " only one is set: on GitHub Actions both are, in a job with the permission id-token: write"
	}
	return ""
}

func gitHubActionsLogin(login Login, r Request, w Options) (Login, error) {
	source := gitHubActions
	source.query = map[string]string{"audience": r.exchangeAudience()}
	return source.completeLogin(login, r, w)
}
