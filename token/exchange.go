package token

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/akslogin/akslogin/token/internal/entra"
)

const federatedCredentialTries = 3

// exchange asks Entra ID. Beyond what the transport tries again, it gives a federated credential
// that Entra ID does not find two more chances.
func exchange(
	ctx context.Context,
	r Request,
	w Options,
	login Login,
	wr entra.Client,
) (Token, error) {
	if m, _ := MethodByName(r.Login); m.callsEntra() {
		connections := wr.NewHTTPTransport()
		defer connections.CloseIdleConnections()
		wr.Network = connections
	}
	w.Log.Debug(
		"asking for a token",
		"login",
		r.Login,
		"authority",
		wr.Authority,
		"tenant",
		r.TenantID,
		"client",
		r.ClientID,
		"audience",
		r.audience(),
	)
	tok, err := requestToken(ctx, r, w, login, wr)
	for try := 1; try < federatedCredentialTries && hasAADSTS(err, codesNoFederatedCredential...); try++ {
		w.Log.Debug(
			"no matching federated credential; that may pass by itself, trying again",
			"error",
			err,
		)
		if !sleepWithJitter(ctx, time.Duration(try)*4*w.RetryDelay) {
			break
		}
		tok, err = requestToken(ctx, r, w, login, wr)
	}
	if err != nil {
		return Token{}, &exchangeError{r, hintValues(r, w, login, wr), r.secrets(w.Getenv), err}
	}
	return tok, nil
}

func requestToken(
	ctx context.Context,
	r Request,
	w Options,
	login Login,
	wr entra.Client,
) (Token, error) {
	a := attempt{Options: w, Client: wr, clientOptions: wr.ClientOptions(ctx, r.TenantID)}
	if r.PoPEnabled {
		var err error
		if a.proofKey, err = newProofKey(); err != nil {
			return Token{}, err
		}
	}
	credential, err := login.NewCredential(a)
	if err != nil {
		return Token{}, err
	}
	got, err := credential.GetToken(
		ctx,
		policy.TokenRequestOptions{Scopes: []string{r.audience() + "/.default"}},
	)
	if err != nil {
		return Token{}, rootCause(ctx, err, wr.LastOutcome)
	}
	// By the system's clock, by which azidentity counts, unless a test moved it; in UTC, as the
	// local zone would be read from the disk for the store.
	now := w.Now().UTC()
	life := min(time.Until(got.ExpiresOn), entra.MaxTokenLifetime)
	if life <= 0 || !entra.IsBearerToken(got.Token) {
		return Token{}, errors.New("the answer has no token, or one that is already expired")
	}
	tok := Token{
		Value:    got.Token,
		Obtained: now,
		Expires:  now.Add(life),
		ProofKey: a.proofKey.pkcs8(),
	}
	if !got.RefreshOn.IsZero() {
		tok.RefreshOn = now.Add(time.Until(got.RefreshOn))
	}
	return tok, nil
}

func newClient(m Method, r Request, w Options) (entra.Client, error) {
	if !m.callsEntra() {
		return entra.Client{Backoff: w.RetryDelay, LastOutcome: &entra.Outcome{}}, nil
	}
	authority, err := r.authority()
	if err != nil {
		return entra.Client{}, err
	}
	var proxy entra.TokenProxy
	if m.usesFlag(
		"azure-token-proxy",
	) { // it takes federated tokens, and no other secret is sent there
		if proxy, err = readTokenProxy(r, w.Getenv); err != nil {
			return entra.Client{}, err
		}
	}
	if err := checkProxyVariables(w.Getenv); err != nil {
		return entra.Client{}, err
	}
	region := regionFrom(w.Getenv)
	return entra.Client{
		Authority:   authority,
		TokenProxy:  proxy,
		Region:      region,
		Backoff:     w.RetryDelay,
		LastOutcome: &entra.Outcome{},
		TokenType:   r.tokenType(),
		SkipDiscovery: isMicrosoftAuthority(authority) && region == "" &&
			!strings.EqualFold(r.TenantID, "adfs"),
	}, nil
}
