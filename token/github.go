package token

import "net/http"

// gitHubActions issues federated tokens to jobs that have the permission "id-token: write".
// https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
var gitHubActions = ciSystem{
	name:          "GitHub Actions",
	urlVariable:   "ACTIONS_ID_TOKEN_REQUEST_URL",
	tokenVariable: "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
	httpMethod:    http.MethodGet,
	query: func(r Request) map[string]string {
		return map[string]string{"audience": r.federatedAudience()}
	},
	header:      map[string]string{"Accept": "application/json; api-version=2.0"},
	tokenField:  "value",
	requirement: "the permission id-token: write",
	refusedHint: "the job needs the permission id-token: write, and may ask only while it runs",
}
