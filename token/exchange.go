package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
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
		return strings.TrimSuffix(fmt.Sprintf("AADSTS%d: %s (correlation ID %s)", r.AADSTS, r.Sentence, r.CorrelationID), " (correlation ID )")
	case r.Name != "":
		return strings.TrimSuffix(fmt.Sprintf("HTTP status %d, %s: %s", r.HTTPStatus, r.Name, r.Sentence), ": ")
	}
	return fmt.Sprintf("HTTP status %d, and not in Entra ID's form", r.HTTPStatus)
}

// exchangeError says what was tried, for Explain.
type exchangeError struct {
	request Request
	facts   map[string]string
	secrets []string // what must not be in the words, whoever repeats it
	err     error
}

func (e *exchangeError) Error() string {
	text := "login " + e.request.Login
	m, _ := method(e.request.Login)
	for _, who := range []struct{ flag, is string }{
		{"username", " as %s"}, {"identity-resource-id", " as %s"}, {"client-id", " for client ID %s"}, {"subscription", " for subscription %s"}, {"tenant-id", " in tenant %s"},
	} {
		if value := e.request.value(who.flag); value != "" && m.takes(who.flag) {
			text += fmt.Sprintf(who.is, value) + e.request.from(who.flag)
		}
	}
	if at := e.facts["authority"]; at != "" {
		text += " at " + at
	}
	return text + ": " + e.err.Error()
}
func (e *exchangeError) Unwrap() error { return e.err }

// attempt is what a credential is made for: one question and its repetitions.
type attempt struct {
	World
	wire
	options azcore.ClientOptions // the way there, for azidentity and MSAL
	proof   *proofKey            // the key that the token is to be bound to; nil: a bearer token is wanted
}

// vouchedFor tells whether nobody need be asked about the authority: it is Microsoft's own, or the person trusts it.
func (a attempt) vouchedFor(r Request) bool { return a.oneRequest || r.DisableInstanceDiscovery }

// exchange asks Entra ID. Beyond what the transport tries again, it gives a federated credential that Entra ID does not find two more chances.
func exchange(ctx context.Context, r Request, w World, login Login, wr wire) (Token, error) {
	if m, _ := method(r.Login); m.asksEntra() {
		connections := wr.connections()
		defer connections.CloseIdleConnections()
		wr.network = connections
	}
	w.Log.Debug("asking for a token", "login", r.Login, "authority", wr.authority, "tenant", r.TenantID, "client", r.ClientID, "audience", r.audience())
	tok, err := ask(ctx, r, w, login, wr)
	for try := 1; try < matchTries && refusedWith(err, noFederatedCredential...); try++ {
		w.Log.Debug("no matching federated credential; that may pass by itself, trying again", "error", err)
		if !pause(ctx, time.Duration(try)*4*w.Pace) {
			break
		}
		tok, err = ask(ctx, r, w, login, wr)
	}
	if err != nil {
		return Token{}, &exchangeError{r, facts(r, w, login, wr), r.secrets(w.Getenv), err}
	}
	return tok, nil
}

func ask(ctx context.Context, r Request, w World, login Login, wr wire) (Token, error) {
	a := attempt{World: w, wire: wr, options: wr.options(ctx, r.TenantID)}
	if r.PoPEnabled {
		var err error
		if a.proof, err = newProofKey(); err != nil {
			return Token{}, err
		}
	}
	credential, err := login.Credential(a)
	if err != nil {
		return Token{}, err
	}
	got, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{r.audience() + "/.default"}})
	if err != nil {
		return Token{}, why(ctx, err, wr.last)
	}
	// By the system's clock, by which azidentity counts, unless a test moved it; in UTC, as the local zone would be read from the disk for the store.
	now := w.Now().UTC()
	life := min(time.Until(got.ExpiresOn), maxLife)
	if life <= 0 || !isBearer(got.Token) {
		return Token{}, errors.New("the answer has no token, or one that is already expired")
	}
	tok := Token{Value: got.Token, Obtained: now, Expires: now.Add(life), Proof: a.proof.bytes()}
	if !got.RefreshOn.IsZero() {
		tok.RefreshOn = now.Add(time.Until(got.RefreshOn))
	}
	return tok, nil
}

// why finds the cause that azidentity's and MSAL's errors have no way to tell: the answer that refused, or how the last request ended.
func why(ctx context.Context, err error, last *outcome) error {
	if errors.As(err, new(*needsPerson)) {
		return err
	}
	if last.refusal != nil && !last.refusal.pending() {
		return last.refusal
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		if last.err == nil || errors.Is(last.err, ctxErr) {
			return ctxErr
		}
		return fmt.Errorf("%w; the last try ended so: %w", ctxErr, last.err)
	}
	if last.err != nil {
		return last.err
	}
	return err
}

// pending tells whether a device code is waiting for its person (RFC 8628, section 3.5).
func (r *Refusal) pending() bool { return r.Name == "authorization_pending" || r.Name == "slow_down" }

// refusalFrom reads an answer that is no token.
func refusalFrom(resp *http.Response, body []byte) *Refusal {
	refusal := &Refusal{HTTPStatus: resp.StatusCode, RetryAfter: retryAfter(resp)}
	parseRefusal(body, refusal)
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
	m, _ := method(r.Login)
	for fact, flag := range map[string]string{
		"client": "client-id", "tenant": "tenant-id", "username": "username", "subscription": "subscription", "connection": "azure-pipelines-service-connection-id",
	} {
		if value := r.value(flag).(string); value != "" && m.takes(flag) {
			all[fact] = value + r.from(flag)
		}
	}
	all["audience"] = r.audience() + r.from("server-id")
	if _, set := all["authority"]; !set {
		all["authority"] = wr.authority
	}
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
