package token

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// Response is a service's response to [Post].
type Response struct {
	Status     int
	Header     http.Header
	Body       []byte        // may hold secrets
	RetryAfter time.Duration // pause that the service asks for; 0 if it does not
}

// Post sends a POST without a body to a service's https address, with tok as the bearer token. r is
// the request that tok is the answer to; errors name its timeout.
//
// As [Get] does, it retries temporary failures until ctx ends, and follows no redirects, so that no
// other host gets the token. An error means that there is no response; the caller must check the
// status.
func Post(
	ctx context.Context,
	address string,
	r Request,
	tok Token,
	opts Options,
) (Response, error) {
	opts = opts.withDefaults()
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return Response{}, errors.New("a token is sent to https addresses only")
	}
	service := "https://" + u.Host + "/"
	client := entra.Client{
		Authority:   service,
		Backoff:     opts.RetryDelay,
		LastOutcome: &entra.Outcome{},
	}
	connections := client.NewHTTPTransport()
	defer connections.CloseIdleConnections()
	client.Network = connections
	opts.Log.Debug("sending a request with the token", "to", service)
	header := map[string]string{"Accept": "application/json"}
	resp, err := client.Send(ctx, http.MethodPost, address, tok.Value, header)
	if err != nil {
		values := map[string]string{}
		addNetworkValues(values, service, opts)
		return Response{}, &postError{r, service, values, rootCause(ctx, err, client.LastOutcome)}
	}
	body, err := runtime.Payload(resp)
	return Response{resp.StatusCode, resp.Header, body, entra.RetryAfter(resp)}, err
}
