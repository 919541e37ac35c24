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

// Response is what a service said to a request that carried a token.
type Response struct {
	Status     int
	Header     http.Header
	Body       []byte        // may hold secrets
	RetryAfter time.Duration // how long the service wants to be left alone; 0: it does not say
}

// Post sends a POST without a body to an https address of a service, with the token that it wants;
// r is the request that this is the answer to. It goes about that as [Get] does: what may pass by
// itself is tried again within ctx, and no redirect is followed, so that no other host sees the
// token. An error means that there is no answer. Whether an answer is a good one, the caller has to
// see.
func Post(ctx context.Context, address string, r Request, tok Token, w Options) (Response, error) {
	w = w.withDefaults()
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return Response{}, errors.New("a token is sent to https addresses only")
	}
	wr := entra.Client{
		Authority:   "https://" + u.Host + "/",
		Backoff:     w.RetryDelay,
		LastOutcome: &entra.Outcome{},
	}
	connections := wr.NewHTTPTransport()
	defer connections.CloseIdleConnections()
	wr.Network = connections
	w.Log.Debug("sending a request with the token", "to", wr.Authority)
	resp, err := wr.Send(
		ctx,
		http.MethodPost,
		address,
		tok.Value,
		map[string]string{"Accept": "application/json"},
	)
	if err != nil {
		return Response{}, &postError{
			r,
			wr.Authority,
			map[string]string{"asked": wr.Authority, "via": reachabilityNote(w.Getenv)},
			rootCause(ctx, err, wr.LastOutcome),
		}
	}
	body, err := runtime.Payload(resp)
	return Response{resp.StatusCode, resp.Header, body, entra.RetryAfter(resp)}, err
}
