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

// ciSystem is a CI system that gives a job a new federated token whenever it asks, with the job's own token.
type ciSystem struct {
	name                         string
	addressVariable, keyVariable string // where the job is told whom to ask, and with which token
	method                       string
	query                        map[string]string // beside the address's own
	header                       map[string]string
	member                       string // of the answer's JSON, with the token
	todo                         string // where it refuses; may name facts
}

// login seals with the token that the job asks with: the federated tokens differ every time.
func (c ciSystem) login(login Login, r Request, w World) (Login, error) {
	u, err := url.Parse(w.Getenv(c.addressVariable))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return Login{}, usage("$%s is %q: it must be https://HOST/PATH", c.addressVariable, address(w.Getenv(c.addressVariable)))
	}
	key := w.Getenv(c.keyVariable)
	if !isBearer(key) {
		return Login{}, usage("$%s is not a token", c.keyVariable)
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
	login.Credential = func(a attempt) (azcore.TokenCredential, error) {
		return application{assertion: func(ctx context.Context) (string, error) {
			given, err := c.federatedToken(ctx, asked, key, a.wire)
			assertion, a.last.err = given, err
			return given, err
		}}.credential(r, a)
	}
	login.Facts = func() map[string]string {
		facts := assertionFacts(assertion, r)
		facts["source"] = c.name + " ($" + c.addressVariable + ")"
		return facts
	}
	return login, nil
}

// federatedToken asks for a new one. What the CI system answers is not repeated in errors.
func (c ciSystem) federatedToken(ctx context.Context, u url.URL, key string, wr wire) (string, error) {
	there, done := wr.to("https://" + u.Host + "/")
	defer done()
	resp, err := there.send(ctx, c.method, u.String(), key, c.header)
	if err != nil {
		return "", fmt.Errorf("ask %s for a federated token: %w", c.name, err)
	}
	wr.last.refusal = nil // it is none of Entra ID's
	if resp.StatusCode != http.StatusOK {
		todo := ""
		if resp.StatusCode < 500 {
			todo = c.todo
		}
		return "", &ciError{fmt.Sprintf("ask %s for a federated token: HTTP status %d", c.name, resp.StatusCode), todo}
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return "", err
	}
	var given map[string]json.RawMessage
	var value string
	err = json.Unmarshal(body, &given)
	if err == nil && given[c.member] != nil {
		err = json.Unmarshal(given[c.member], &value)
	}
	if err != nil {
		return "", &ciError{text: fmt.Sprintf("ask %s for a federated token: the answer is not the JSON that it sends", c.name)}
	}
	federated, err := parseFederatedToken([]byte(value))
	if err != nil {
		return "", &ciError{text: fmt.Sprintf("%s' answer has no federated token: %v", c.name, err)}
	}
	return string(federated), nil
}

// ciError is a CI system that answered, and gave no federated token. Asking again would not help.
type ciError struct{ text, todo string }

func (e *ciError) Error() string { return e.text }

// NonRetriable implements azcore's marker for its retry policy.
func (*ciError) NonRetriable() {}
