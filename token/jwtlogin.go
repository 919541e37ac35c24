package token

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/jwt"
)

const jwtLoginName = "jwt"

// jwtLogin hands a federated token to the API server as it is, without Entra ID.
// https://learn.microsoft.com/azure/aks/external-identity-provider-authentication-overview
var jwtLogin = Method{
	Name:       jwtLoginName,
	About:      "a federated token, sent unchanged to an API server that trusts its issuer (structured authentication); without Entra ID",
	Optional:   slices.Concat(federatedTokenFlags, []string{"server-id", "timeout"}),
	SealedWith: "not cached, because no request is made; in a CI job, the token that it asks with",
	Stanza: Stanza{
		Flags:      federatedTokenFlags,
		Inherited:  federatedTokenFlags,
		Exclusive:  federatedTokenFlags,
		NoServerID: true,
	},
	UnmetNeed: jwtNeed,
	Check:     checkJWTLogin,
	Open:      openJWTLogin,
	Diagnose:  diagnoseJWTLogin,
}

// minJWTLeft is the least time that a federated token must have left to be of use to a client.
const minJWTLeft = 10 * time.Second

const ownAudienceHint = "name a file with a token for the API server's own audience in --federated-token-file, " +
	"such as a projected service account token; login workloadidentity exchanges tokens for " +
	"Entra ID"

// presentsFederatedToken reports whether the API server gets the federated token itself.
func (r Request) presentsFederatedToken() bool { return r.Login == jwtLoginName }

// checkJWTLogin refuses a cluster's config that decides which token the cluster gets.
func checkJWTLogin(r Request) error {
	for _, flag := range []string{"federated-token-file", "server-id"} {
		if r.From[flag] == FromCluster {
			return &UsageError{
				Text: "login jwt does not take " + flag + " from the cluster's config: a cluster must not choose which token it gets",
				Hint: "remove it there, or give --" + flag,
			}
		}
	}
	return nil
}

func jwtNeed(r Request, getenv func(string) string) string {
	if _, inCI := findCISystem(r, getenv); !inCI && !r.namesFederatedToken() {
		return "no --" + strings.Join(federatedTokenFlags, " or --")
	}
	return federatedTokenNeed(r, getenv)
}

// openJWTLogin takes the federated token from a file or variable that is named, or else
// from a CI system.
func openJWTLogin(r Request, opts Options, _ entra.Client) (Login, error) {
	c, inCI := findCISystem(r, opts.Getenv)
	switch {
	case inCI && !r.setExplicitly("server-id"):
		return Login{}, &UsageError{
			Text: "login jwt needs --server-id in a job of " + c.name,
			Hint: "it is the audience that the cluster's JWT authenticator expects",
		}
	case inCI:
		login := Login{Inputs: []string{"method=" + r.Login, "audience=" + r.audience()}}
		return c.completeLogin(login, r, opts)
	case !r.namesFederatedToken():
		return Login{}, &UsageError{
			Text: "login jwt needs --federated-token-file, $AZURE_FEDERATED_TOKEN_FILE or --federated-token-env",
			Hint: ownAudienceHint,
		}
	}
	login, err := federatedTokenLogin(Login{}, r, opts.Getenv)
	var unreadable *noFederatedTokenError
	switch {
	case errors.As(err, &unreadable) && errors.Is(err, fs.ErrNotExist):
		unreadable.knownHint = ownAudienceHint
		return Login{}, unreadable
	case err != nil:
		return Login{}, err
	}
	hint, err := checkPresentedJWT(string(login.Secret), opts.Now())
	if err != nil {
		place, source := r.federatedTokenPlace()
		return Login{}, &noFederatedTokenError{place, source, err, hint}
	}
	login.Secret = nil // The file or variable is the cache.
	return login, nil
}

// checkPresentedJWT refuses a token that API servers refuse, and one with which they could log in
// to Entra ID.
func checkPresentedJWT(assertion string, now time.Time) (hint string, err error) {
	c, err := jwt.Parse(assertion)
	if err != nil {
		return "", err
	}
	for _, e := range environments {
		if slices.Contains(c.Audience, e.exchangeAudience) {
			return ownAudienceHint, fmt.Errorf("it is for audience %s: with it an API server could log in to Entra ID", e.exchangeAudience)
		}
	}
	expires := readAssertionTimes(assertion).expires
	left := expires.Sub(now)
	renew := "it is " + formatTime(now) + " here: the kubelet, CI system or program that writes " +
		"the file must renew it, or this machine's clock is wrong"
	switch {
	case expires.IsZero():
		return "use a projected token, not one of a Secret", errors.New("it has no expiry (exp), which API servers require")
	case left <= 0:
		return renew, fmt.Errorf("it expired at %s", formatTime(expires))
	case left < minJWTLeft:
		return renew, fmt.Errorf("it is about to expire, at %s", formatTime(expires))
	}
	return "", nil
}

// federatedCredential returns the credential of a login with a federated token: it exchanges the
// token, or returns it with its own expiry.
func federatedCredential(
	assertion func(context.Context) (string, error),
	r Request,
	a attempt,
) (azcore.TokenCredential, error) {
	if !r.presentsFederatedToken() {
		return clientCredential{assertion: assertion}.tokenCredential(r, a)
	}
	return credentialFunc(
		func(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
			token, err := assertion(ctx)
			if err == nil {
				_, err = checkPresentedJWT(token, a.Now())
			}
			return azcore.AccessToken{
				Token:     token,
				ExpiresOn: readAssertionTimes(token).expires,
			}, err
		},
	), nil
}

// diagnoseJWTLogin reports which token the API server would get.
func diagnoseJWTLogin(r Request, opts Options) []Finding {
	if _, inCI := findCISystem(r, opts.Getenv); inCI {
		return diagnoseFederatedToken(r, opts)
	}
	_, err := openJWTLogin(r, opts, entra.Client{})
	var unusable *noFederatedTokenError
	if errors.As(err, &unusable) {
		text, todo := unusable.Error(), unusable.hint()
		return []Finding{{Status: StatusError, Check: "federated token", Text: text, Todo: todo}}
	}
	assertion, readErr := r.readFederatedToken(opts.Getenv)
	if err != nil || readErr != nil {
		return nil // CheckLogin reports the error
	}
	return []Finding{presentedFinding(string(assertion), opts.Now())}
}

// presentedFinding shows what the API server's configuration must contain.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
func presentedFinding(assertion string, now time.Time) Finding {
	values := assertionHintValues(assertion, Request{})
	return Finding{
		Status: StatusInfo,
		Check:  "federated token",
		Text: fmt.Sprintf(
			"%s; the API server must trust issuer %s with audience %s , and sees subject %s",
			readAssertionTimes(assertion).describe(now),
			values["issuer"], values["assertion-audience"], values["subject"],
		),
	}
}
