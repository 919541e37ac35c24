package token

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// ciSystem is a CI system that issues federated tokens to its jobs. A job requests a new one over
// HTTPS and authenticates with its own token.
type ciSystem struct {
	name string

	// Variables of a job: the address to ask for federated tokens, and the token to ask with.
	urlVariable, tokenVariable string

	httpMethod  string
	query       func(Request) map[string]string // parameters added to the address
	header      map[string]string
	tokenField  string // field with the federated token in the JSON response
	requirement string // what a job needs to get both variables
	refusedHint string // hint for a status 4xx; may have placeholders
}

// isAvailable reports whether this process runs in a job that may ask for federated tokens.
func (c ciSystem) isAvailable(getenv func(string) string) bool {
	return getenv(c.urlVariable) != "" && getenv(c.tokenVariable) != ""
}

// isIncomplete reports whether only one of the two variables is set.
func (c ciSystem) isIncomplete(getenv func(string) string) bool {
	return (getenv(c.urlVariable) == "") != (getenv(c.tokenVariable) == "")
}

// incompleteHint is the hint for a job in which isIncomplete is true.
func (c ciSystem) incompleteHint() string {
	return "of $" + c.urlVariable + " and $" + c.tokenVariable + " only one is set: on " + c.name +
		" both are, in a job with " + c.requirement
}

// completeLogin fills in login so that it gets a federated token from the CI system. Stored tokens
// are sealed with the job's token, because the federated token differs every time.
func (c ciSystem) completeLogin(login Login, r Request, opts Options) (Login, error) {
	u, err := url.Parse(opts.Getenv(c.urlVariable))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return Login{}, usageErrorf(
			"$%s is %q: it must be https://HOST/PATH",
			c.urlVariable, redact.URL(opts.Getenv(c.urlVariable)),
		)
	}
	jobToken := opts.Getenv(c.tokenVariable)
	if !entra.IsBearerToken(jobToken) {
		return Login{}, usageErrorf("$%s is not a token", c.tokenVariable)
	}
	login.Secret = []byte(jobToken)
	login.Inputs = append(login.Inputs, "source="+u.Scheme+"://"+u.Host+u.Path)
	query := u.Query()
	for name, value := range c.query(r) {
		query.Set(name, value)
	}
	address := *u
	address.RawQuery = query.Encode()
	var assertion string
	login.NewCredential = func(a attempt) (azcore.TokenCredential, error) {
		requestAssertion := func(ctx context.Context) (string, error) {
			result, err := c.requestFederatedToken(ctx, address, jobToken, a.Client)
			assertion, a.LastOutcome.Err = result, err
			return result, err
		}
		return federatedCredential(requestAssertion, r, a)
	}
	login.HintValues = func() map[string]string {
		values := assertionHintValues(assertion, r)
		values["source"] = c.name + " ($" + c.urlVariable + ")"
		return values
	}
	return login, nil
}

// requestFederatedToken asks the CI system for a new federated token. Errors do not repeat the
// response, which may hold secrets.
func (c ciSystem) requestFederatedToken(
	ctx context.Context,
	u url.URL,
	jobToken string,
	client entra.Client,
) (string, error) {
	ci, done := client.ForService("https://" + u.Host + "/")
	defer done()
	resp, err := ci.Send(ctx, c.httpMethod, u.String(), jobToken, c.header)
	if err != nil {
		return "", fmt.Errorf("ask %s for a federated token: %w", c.name, err)
	}
	client.LastOutcome.Refusal = nil // this response is not Entra ID's
	if resp.StatusCode != http.StatusOK {
		text := fmt.Sprintf("ask %s for a federated token: HTTP status %d", c.name, resp.StatusCode)
		if resp.StatusCode < 500 {
			return "", &ciError{text, c.refusedHint}
		}
		return "", &ciError{text: text}
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return "", err
	}
	var fields map[string]json.RawMessage
	var value string
	err = json.Unmarshal(body, &fields)
	if err == nil && fields[c.tokenField] != nil {
		err = json.Unmarshal(fields[c.tokenField], &value)
	}
	if err != nil {
		const format = "ask %s for a federated token: the answer is not the JSON that it sends"
		return "", &ciError{text: fmt.Sprintf(format, c.name)}
	}
	assertion, err := parseFederatedToken([]byte(value))
	if err != nil {
		return "", &ciError{text: fmt.Sprintf("%s' answer has no federated token: %v", c.name, err)}
	}
	return string(assertion), nil
}

// ciError says that a CI system responded without a federated token. A retry would not help.
type ciError struct{ text, hint string }

func (e *ciError) Error() string { return e.text }

// NonRetriable implements azcore's marker interface for errors that its retry policy gives up on.
func (*ciError) NonRetriable() {}
