package token

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// GitHub Actions gives a job that has the permission "id-token: write" an address to ask for federated tokens, and a token to ask with.
// https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
const (
	gitHubURLVariable   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	gitHubTokenVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

func onGitHub(getenv func(string) string) bool {
	return getenv(gitHubURLVariable) != "" && getenv(gitHubTokenVariable) != ""
}

// halfOnGitHub is what to do where a job's leave to ask for federated tokens is not whole; "" where it is, or is none.
func halfOnGitHub(r Request, getenv func(string) string) string {
	if r.FederatedTokenFile == "" && (getenv(gitHubURLVariable) == "") != (getenv(gitHubTokenVariable) == "") {
		return "of $" + gitHubURLVariable + " and $" + gitHubTokenVariable + " only one is set: on GitHub Actions both are, in a job with the permission id-token: write"
	}
	return ""
}

// gitHubLogin seals with the token that the job asks with: GitHub makes a new federated token at every question.
func gitHubLogin(login Login, r Request, w World) (Login, error) {
	source := gitHub{address: w.Getenv(gitHubURLVariable), bearer: w.Getenv(gitHubTokenVariable), audience: r.exchangeAudience()}
	u, err := url.Parse(source.address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return Login{}, usage("$%s is %q: it must be https://HOST/PATH", gitHubURLVariable, address(source.address))
	}
	if !isBearer(source.bearer) {
		return Login{}, usage("$%s is not a token", gitHubTokenVariable)
	}
	var assertion string
	login.Secret = []byte(source.bearer)
	login.Inputs = append(login.Inputs, "source="+u.Scheme+"://"+u.Host+u.Path)
	login.Credential = func(o azcore.ClientOptions, wr wire) (azcore.TokenCredential, error) {
		return assertionCredential(r, o, wr, func(ctx context.Context) (string, error) {
			given, err := source.federatedToken(ctx, wr)
			assertion, wr.last.err = given, err
			return given, err
		})
	}
	login.Facts = func() map[string]string {
		facts := assertionFacts(assertion, r)
		facts["source"] = "GitHub Actions ($" + gitHubURLVariable + ")"
		return facts
	}
	return login, nil
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

// gitHub is a job's leave to ask for federated tokens.
type gitHub struct{ address, bearer, audience string }

// federatedToken asks for a new one. What GitHub answers is not repeated in errors.
func (g gitHub) federatedToken(ctx context.Context, wr wire) (string, error) {
	if wr.proxy.url != nil { // it is for Entra ID alone
		wr.proxy = tokenProxy{}
		connections := wr.connections()
		defer connections.CloseIdleConnections()
		wr.network = connections
	}
	u, err := url.Parse(g.address)
	if err != nil {
		return "", final("%w", err)
	}
	query := u.Query()
	query.Set("audience", g.audience)
	u.RawQuery = query.Encode()
	resp, err := wr.send(ctx, http.MethodGet, u.String(), g.bearer, "application/json; api-version=2.0")
	if err != nil {
		return "", fmt.Errorf("ask GitHub Actions for a federated token: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		todo := ""
		if resp.StatusCode < 500 {
			todo = "; the job needs the permission id-token: write, and may ask only while it runs"
		}
		return "", final("ask GitHub Actions for a federated token: HTTP status %d%s", resp.StatusCode, todo)
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return "", err
	}
	var given struct{ Value string }
	if err := json.Unmarshal(body, &given); err != nil {
		return "", final("ask GitHub Actions for a federated token: the answer is not the JSON that it sends")
	}
	federated, err := parseFederatedToken([]byte(given.Value))
	if err != nil {
		return "", final("GitHub Actions' answer has no federated token: %w", err)
	}
	return string(federated), nil
}
