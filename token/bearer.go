package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// Answer is what a service said to a request that carried a token.
type Answer struct {
	Status     int
	Header     http.Header
	Body       []byte        // may hold secrets
	RetryAfter time.Duration // how long the service wants to be left alone; 0: it does not say
}

// Post sends a POST without a body to an https address of a service, with the token that it wants; r is the request that this is the
// answer to. It goes about that as [Get] does: what may pass by itself is tried again within ctx, and no redirect is followed, so that
// no other host sees the token. An error means that there is no answer. Whether an answer is a good one, the caller has to see.
func Post(ctx context.Context, address string, r Request, tok Token, w World) (Answer, error) {
	w = w.orDefaults()
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return Answer{}, errors.New("a token is sent to https addresses only")
	}
	wr := wire{authority: "https://" + u.Host + "/", pace: w.Pace, last: &outcome{}}
	connections := wr.connections()
	defer connections.CloseIdleConnections()
	wr.network = connections
	w.Log.Debug("sending a request with the token", "to", wr.authority)
	resp, err := wr.send(ctx, http.MethodPost, address, tok.Value, map[string]string{"Accept": "application/json"})
	if err != nil {
		return Answer{}, &sendError{r, wr.authority, map[string]string{"asked": wr.authority, "via": via(w.Getenv)}, why(ctx, err, wr.last)}
	}
	body, err := runtime.Payload(resp)
	return Answer{resp.StatusCode, resp.Header, body, retryAfter(resp)}, err
}

// send sends a request without a body that carries a bearer token.
func (wr wire) send(ctx context.Context, method, address, bearer string, header map[string]string) (*http.Response, error) {
	req, err := runtime.NewRequest(ctx, method, address)
	if err != nil {
		return nil, final("%w", err)
	}
	req.Raw().Header.Set("Authorization", "Bearer "+bearer)
	for name, value := range header {
		req.Raw().Header.Set(name, value)
	}
	options := policy.ClientOptions(wr.options(ctx, ""))
	return runtime.NewPipeline("akslogin", "", runtime.PipelineOptions{}, &options).Do(req)
}

// sendError says which service did not answer, for Explain.
type sendError struct {
	request Request
	service string // https://HOST/
	facts   map[string]string
	err     error
}

func (e *sendError) Error() string { return fmt.Sprintf("ask %s: %v", e.service, e.err) }
func (e *sendError) Unwrap() error { return e.err }

// text is the error's own, with a cause that comes from outside cleaned.
func (e *sendError) text() string {
	return "ask " + e.service + ": " + clean(cause(e.err, e.request))
}
