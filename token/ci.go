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

// ciSystem is a CI system that gives a job a new federated token whenever it asks, with the job's
// own token.
type ciSystem struct {
	name                       string
	urlVariable, tokenVariable string // where the job is told whom to ask, and with which token
	httpMethod                 string
	query                      map[string]string // beside the address's own
	header                     map[string]string
	tokenField                 string // of the answer's JSON, with the token
	refusedHint                string // where it refuses; may name facts
}

// completeLogin seals with the token that the job asks with: the federated tokens differ every
// time.
func (c ciSystem) completeLogin(login Login, r Request, w Options) (Login, error) {
	u, err := url.Parse(w.Getenv(c.urlVariable))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return Login{}, usageErrorf(
			"$%s is %q: it must be https://HOST/PATH",
			c.urlVariable,
			redact.URL(w.Getenv(c.urlVariable)),
		)
	}
	key := w.Getenv(c.tokenVariable)
	if !entra.IsBearerToken(key) {
		return Login{}, usageErrorf("$%s is not a token", c.tokenVariable)
	}
	login.Secret = []byte(key)
	login.Inputs = append(login.Inputs, "source="+u.Scheme+"://"+u.Host+u.Path)
	query := u.Query()
	for name, value := range c.query {
		query.Set(name, value)
	}
	asked := *u
	asked.RawQuery = query.Encode()
	var assertion string
	login.NewCredential = func(a attempt) (azcore.TokenCredential, error) {
		return clientCredential{assertion: func(ctx context.Context) (string, error) {
			given, err := c.requestFederatedToken(ctx, asked, key, a.Client)
			assertion, a.LastOutcome.Err = given, err
			return given, err
		}}.tokenCredential(r, a)
	}
	login.HintValues = func() map[string]string {
		facts := assertionHintValues(assertion, r)
		facts["source"] = c.name + " ($" + c.urlVariable + ")"
		return facts
	}
	return login, nil
}

// requestFederatedToken asks for a new one. What the CI system answers is not repeated in errors.
func (c ciSystem) requestFederatedToken(
	ctx context.Context,
	u url.URL,
	key string,
	wr entra.Client,
) (string, error) {
	there, done := wr.ForService("https://" + u.Host + "/")
	defer done()
	resp, err := there.Send(ctx, c.httpMethod, u.String(), key, c.header)
	if err != nil {
		return "", fmt.Errorf("ask %s for a federated token: %w", c.name, err)
	}
	wr.LastOutcome.Refusal = nil // it is none of Entra ID's
	if resp.StatusCode != http.StatusOK {
		todo := ""
		if resp.StatusCode < 500 {
			todo = c.refusedHint
		}
		return "", &ciError{
			fmt.Sprintf("ask %s for a federated token: HTTP status %d", c.name, resp.StatusCode),
			todo,
		}
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return "", err
	}
	var given map[string]json.RawMessage
	var value string
	err = json.Unmarshal(body, &given)
	if err == nil && given[c.tokenField] != nil {
		err = json.Unmarshal(given[c.tokenField], &value)
	}
	if err != nil {
		return "", &ciError{
			text: fmt.Sprintf(
				"ask %s for a federated token: the answer is not the JSON that it sends",
				c.name,
			),
		}
	}
	federated, err := parseFederatedToken([]byte(value))
	if err != nil {
		return "", &ciError{text: fmt.Sprintf("%s' answer has no federated token: %v", c.name, err)}
	}
	return string(federated), nil
}
