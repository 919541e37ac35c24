package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// AADSTS codes that the exchange acts upon.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
const assertionOutOfTime = 700024

// noFederatedCredential: Entra ID knows no federated credential that matches. It also says so, for seconds or minutes, of one that is there
// (https://github.com/kedacore/keda/issues/8152).
var noFederatedCredential = []int{70021, 700211, 700212, 700213}

const matchTries = 3

// Refusal is Entra ID's own answer to a request that it did not grant (RFC 6749, section 5.2, with Entra's additions).
type Refusal struct {
	HTTPStatus    int           `json:"status"`
	AADSTS        int           `json:"aadsts"`   // 0: the answer has none
	Name          string        `json:"name"`     // OAuth's word, as "invalid_client"
	Sentence      string        `json:"sentence"` // Entra's own, without the code and the IDs at its end
	CorrelationID string        `json:"correlation_id"`
	RetryAfter    time.Duration `json:"-"`
}

func (r *Refusal) Error() string {
	switch {
	case r.AADSTS != 0:
		return fmt.Sprintf("AADSTS%d: %s (correlation ID %s)", r.AADSTS, r.Sentence, r.CorrelationID)
	case r.Name != "":
		return strings.TrimSuffix(fmt.Sprintf("HTTP status %d, %s: %s", r.HTTPStatus, r.Name, r.Sentence), ": ")
	}
	return fmt.Sprintf("HTTP status %d, and not in Entra ID's form", r.HTTPStatus)
}

// exchangeError says what was tried, for Explain.
type exchangeError struct {
	request Request
	facts   map[string]string
	err     error
}

func (e *exchangeError) Error() string {
	r := e.request
	return fmt.Sprintf("login %s for client ID %s%s in tenant %s%s at %s: %v",
		r.Login, r.ClientID, r.from("client-id"), r.TenantID, r.from("tenant-id"), e.facts["authority"], e.err)
}
func (e *exchangeError) Unwrap() error { return e.err }

// exchange asks Entra ID. Beyond what the transport tries again, it gives a federated credential that Entra ID does not find two more chances.
func exchange(ctx context.Context, r Request, w World, login Login, wr wire) (Token, error) {
	connections := wr.connections()
	defer connections.CloseIdleConnections()
	wr.network = connections
	w.Log.Debug("asking Entra ID", "authority", wr.authority, "tenant", r.TenantID, "client", r.ClientID, "audience", r.audience())
	tok, err := ask(ctx, r, w, login, wr)
	for try := 1; try < matchTries && refusedWith(err, noFederatedCredential...); try++ {
		w.Log.Debug("no matching federated credential; that may pass by itself, trying again", "error", err)
		if !pause(ctx, time.Duration(try)*4*w.Pace) {
			break
		}
		tok, err = ask(ctx, r, w, login, wr)
	}
	if err != nil {
		return Token{}, &exchangeError{r, facts(r, w, login, wr), err}
	}
	return tok, nil
}

func ask(ctx context.Context, r Request, w World, login Login, wr wire) (Token, error) {
	credential, err := login.Credential(wr.options(ctx, r.TenantID), wr)
	if err != nil {
		return Token{}, err
	}
	got, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{r.audience() + "/.default"}})
	if err != nil {
		return Token{}, why(ctx, err, wr.last.err)
	}
	now := w.Now() // by the system's clock, by which azidentity counts, unless a test moved it
	life := min(time.Until(got.ExpiresOn), maxLife)
	if life <= 0 || got.Token == "" {
		return Token{}, errors.New("the answer has no token, or one that is already expired")
	}
	tok := Token{Value: got.Token, Obtained: now, Expires: now.Add(life)}
	if !got.RefreshOn.IsZero() {
		tok.RefreshOn = now.Add(time.Until(got.RefreshOn))
	}
	return tok, nil
}

// why finds the cause that azidentity's error has no way to tell: Entra ID's answer, or how the last request ended.
func why(ctx context.Context, err, last error) error {
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		return refusalFrom(failed)
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		if last == nil || errors.Is(last, ctxErr) {
			return ctxErr
		}
		return fmt.Errorf("%w; the last try ended so: %w", ctxErr, last)
	}
	if last != nil {
		return last
	}
	return err
}

func refusalFrom(failed *azidentity.AuthenticationFailedError) *Refusal {
	resp := failed.RawResponse
	refusal := &Refusal{HTTPStatus: resp.StatusCode, RetryAfter: retryAfter(resp)}
	body, err := runtime.Payload(resp)
	if err == nil {
		parseRefusal(body, refusal)
	}
	return refusal
}

// parseRefusal fills in what body says. Whatever it is, the result can be shown: it is clean.
func parseRefusal(body []byte, into *Refusal) {
	var said struct {
		Name          string `json:"error"`
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		CorrelationID string `json:"correlation_id"`
	}
	_ = json.Unmarshal(body, &said) // what does not fit stays empty, and the status still says something
	into.Name, into.CorrelationID = clean(said.Name), clean(said.CorrelationID)
	sentence := said.Description
	if rest, found := strings.CutPrefix(said.Description, "AADSTS"); found {
		var code string
		code, sentence, _ = strings.Cut(rest, ":")
		into.AADSTS, _ = strconv.Atoi(code)
	}
	if into.AADSTS == 0 && len(said.Codes) > 0 {
		into.AADSTS = said.Codes[0]
	}
	sentence, _, _ = strings.Cut(sentence, "Trace ID:")
	into.Sentence = clean(sentence)
}

// facts are what a hint's placeholders stand for.
func facts(r Request, w World, login Login, wr wire) map[string]string {
	all := map[string]string{}
	if login.Facts != nil {
		all = login.Facts()
	}
	all["client"] = r.ClientID + r.from("client-id")
	all["tenant"] = r.TenantID + r.from("tenant-id")
	all["audience"] = r.audience() + r.from("server-id")
	all["authority"] = wr.authority
	all["asked"], all["wanted"] = wr.last.asked, r.exchangeAudience()
	if wr.proxy.url != nil {
		all["proxy"] = address(wr.proxy.url.String()) + " ($" + proxyVariable + ")"
		all["authority"] = all["proxy"]
	}
	if !wr.oneRequest && !r.DisableInstanceDiscovery && wr.last.asked != wr.authority && isKnown(wr.last.asked) {
		all["vouching"] = "Microsoft's"
	}
	all["via"] = via(w.Getenv)
	all["now"] = w.Now().UTC().Format(time.RFC3339)
	return all
}

// via ends a sentence about a host that has to be reachable.
func via(getenv func(string) string) string {
	if getenv("HTTPS_PROXY") != "" || getenv("https_proxy") != "" {
		return ", through the proxy that $HTTPS_PROXY names"
	}
	return ", or $HTTPS_PROXY set"
}

// pause waits d or a little less, so that many processes do not come back at once. It returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d - rand.N(d/2+1)):
		return true
	case <-ctx.Done():
		return false
	}
}
