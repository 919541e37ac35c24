package token

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// federatedTokenTries limits how often exchange asks while Entra ID does not accept the federated
// token for a reason that may be temporary.
const federatedTokenTries = 3

// exchange requests a new token. The transport retries temporary failures; exchange retries while
// Entra ID finds no matching federated credential, since a new one takes a while to work, or cannot
// read the issuer's keys.
func exchange(
	ctx context.Context,
	r Request,
	opts Options,
	login Login,
	client entra.Client,
) (Token, error) {
	if login.FirstHop != nil {
		if err := login.FirstHop.run(ctx, opts); err != nil {
			return Token{}, err
		}
	}
	if m, _ := MethodByName(r.Login); m.callsEntra() {
		connections := client.NewHTTPTransport()
		defer connections.CloseIdleConnections()
		client.Network = connections
	}
	opts.Log.Debug("asking for a token",
		"login", r.Login, "authority", client.Authority, "tenant", r.TenantID,
		"client", r.ClientID, "audience", r.audience())
	tok, err := requestToken(ctx, r, opts, login, client)
	temporary := slices.Concat(codesNoFederatedCredential, codesIssuerKeys)
	for try := 1; try < federatedTokenTries && hasAADSTS(err, temporary...); try++ {
		const message = "the federated token is refused; that may be temporary, trying again"
		opts.Log.Debug(message, "error", err)
		if !sleepWithJitter(ctx, time.Duration(try)*4*opts.RetryDelay) {
			break
		}
		tok, err = requestToken(ctx, r, opts, login, client)
	}
	if err != nil {
		return Token{}, newExchangeError(r, opts, login, client, err)
	}
	return tok, nil
}

// requestToken requests a new token once, with the retries of the transport.
func requestToken(
	ctx context.Context,
	r Request,
	opts Options,
	login Login,
	client entra.Client,
) (Token, error) {
	a := attempt{
		Options:       opts,
		Client:        client,
		clientOptions: client.ClientOptions(ctx, r.TenantID),
	}
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
	scopes := policy.TokenRequestOptions{Scopes: []string{r.audience() + "/.default"}}
	result, err := credential.GetToken(ctx, scopes)
	if err != nil {
		return Token{}, rootCause(ctx, err, client.LastOutcome)
	}
	redact.Remember(result.Token)
	// azidentity counts by the system's clock, and opts.Now may be another one in a test. Times are
	// in UTC, because the store would have to read the local time zone from disk.
	now := opts.Now().UTC()
	lifetime := min(time.Until(result.ExpiresOn), entra.MaxTokenLifetime)
	if lifetime <= 0 || !entra.IsBearerToken(result.Token) {
		return Token{}, errors.New("the answer has no token, or one that is already expired")
	}
	tok := Token{
		Value:    result.Token,
		Obtained: now,
		Expires:  now.Add(lifetime),
		ProofKey: a.proofKey.pkcs8(),
	}
	if !result.RefreshOn.IsZero() {
		tok.RefreshOn = now.Add(time.Until(result.RefreshOn))
	}
	return tok, nil
}

// newClient returns the client for r. It is without an Authority if m does not call Entra ID.
func newClient(m Method, r Request, opts Options) (entra.Client, error) {
	client := entra.Client{Backoff: opts.RetryDelay, LastOutcome: &entra.Outcome{}}
	if !m.callsEntra() {
		return client, nil
	}
	authority, err := r.authority()
	if err != nil {
		return entra.Client{}, err
	}
	if m.usesFlag("azure-token-proxy") { // the proxy is for federated tokens, not for secrets
		if client.TokenProxy, err = readTokenProxy(r, opts.Getenv); err != nil {
			return entra.Client{}, err
		}
	}
	if err := checkProxyVariables(opts.Getenv); err != nil {
		return entra.Client{}, err
	}
	client.Authority = authority
	if m.usesRegion() {
		if client.Region, err = regionFrom(opts.Getenv); err != nil {
			return entra.Client{}, err
		}
	}
	client.TokenType = r.tokenType()
	client.SkipDiscovery = isMicrosoftAuthority(authority) && client.Region == "" &&
		!strings.EqualFold(r.TenantID, "adfs")
	return client, nil
}
