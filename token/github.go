package token

import "net/http"

// gitHub gives a job that has the permission "id-token: write" an address to ask for federated tokens, and a token to ask with.
// https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
var gitHub = ciSystem{
	name:            "GitHub Actions",
	addressVariable: "ACTIONS_ID_TOKEN_REQUEST_URL",
	keyVariable:     "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
	method:          http.MethodGet,
	header:          map[string]string{"Accept": "application/json; api-version=2.0"},
	member:          "value",
	todo:            "the job needs the permission id-token: write, and may ask only while it runs",
}

func onGitHub(getenv func(string) string) bool {
	return getenv(gitHub.addressVariable) != "" && getenv(gitHub.keyVariable) != ""
}

// halfOnGitHub is what to do where a job's leave to ask for federated tokens is not whole; "" where it is, or is none.
func halfOnGitHub(r Request, getenv func(string) string) string {
	if r.FederatedTokenFile == "" && (getenv(gitHub.addressVariable) == "") != (getenv(gitHub.keyVariable) == "") {
		return "of $" + gitHub.addressVariable + " and $" + gitHub.keyVariable + " only one is set: on GitHub Actions both are, in a job with the permission id-token: write"
	}
	return ""
}

func gitHubLogin(login Login, r Request, w World) (Login, error) {
	source := gitHub
	source.query = map[string]string{"audience": r.exchangeAudience()}
	return source.login(login, r, w)
}

// exchangeAudience is the audience that a federated token must have to be exchanged in the request's cloud.
func (r Request) exchangeAudience() string {
	authority, _ := r.authority() // Check has seen it
	e, known := environmentAt(authority)
	if !known {
		e = environments[0]
	}
	return e.exchange
}
