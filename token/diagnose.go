package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/jwt"
)

// Diagnosis examines one request and everything that [Get] needs to answer it. Only
// [Diagnosis.CheckNetwork] and [Diagnosis.CheckExchange] use the network, and end when their ctx
// does. Nothing is stored. Its methods may be called in any order, each more than once, but not
// from several goroutines at once.
type Diagnosis struct {
	request  Request
	options  Options
	method   Method // the zero value if it is unknown
	client   entra.Client
	login    Login
	loginErr error // why the login cannot start; nil if it can
}

// Diagnose prepares the diagnosis of a resolved request. It does what [Get] does before it uses the
// network, and keeps the error for the findings.
func Diagnose(r Request, opts Options) *Diagnosis {
	r.pipes = map[string][]byte{}
	d := &Diagnosis{request: r, options: opts.withDefaults()}
	d.options.Prompt = nil // nobody is asked to sign in
	r.rememberSecrets(d.options.Getenv)
	d.method, d.loginErr = r.Check()
	if d.method.Name == "" {
		return d
	}
	client, err := newClient(d.method, r, d.options)
	d.client = client
	if d.loginErr == nil {
		d.loginErr = err
	}
	if d.loginErr == nil {
		d.login, d.loginErr = d.method.Open(r, d.options, client)
	}
	return d
}

// CheckLogin reports whether the login can start, and examines its secret, certificate or federated
// token.
func (d *Diagnosis) CheckLogin() []Finding {
	const check = "login method"
	var all []Finding
	switch {
	case d.loginErr == nil:
		all = append(all, Finding{
			Status: StatusOK,
			Check:  check,
			Text:   d.method.Name + ": " + strings.ReplaceAll(d.method.About, "`", ""),
		})
	case d.method.Diagnose == nil || !errors.As(d.loginErr, new(*noFederatedTokenError)):
		// Otherwise Diagnose reports the file's error.
		all = append(all, ErrorFinding(check, d.loginErr))
	}
	if d.method.Diagnose != nil {
		all = append(all, d.method.Diagnose(d.request, d.options)...)
	}
	return all
}

// CheckCache reports what the store holds for the request.
func (d *Diagnosis) CheckCache() Finding {
	found := Finding{Status: StatusOK, Check: "cached token"}
	if d.loginErr != nil {
		found.Status, found.Text = StatusSkipped, "not looked for: the login cannot start"
		return found
	}
	store := d.options.openStore(d.login.Secret, d.login.Inputs)
	if store == nil && d.request.presentsFederatedToken() {
		found.Text = "not needed: every run reads the federated token from its file"
		return found
	}
	if store == nil {
		found.Status = StatusWarning
		found.Text = "nothing is cached for this login: there is no key to seal it with, so every run asks for a token"
		found.Todo = "the user's data folder (~/.local/share, or $XDG_DATA_HOME) must be writable"
		return found
	}
	now := d.options.Now()
	var r cacheRecord
	data, err := store.get()
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	expires := formatTime(r.Token.Expires)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found.Status = StatusInfo
		found.Text = "none for this login yet"
	case err != nil:
		found.Status = StatusInfo
		found.Text = "none for this login: " + err.Error()
	case r.Token.fresh(now):
		found.Text = "one that is valid until " + expires + " ; get-token prints it without a request"
	case r.Token.valid(now):
		found.Text = "one that is valid until " + expires + " ; get-token will try to refresh it"
	default:
		found.Status = StatusInfo
		found.Text = "none that is valid now"
	}
	if r.Failure != nil {
		found.Status = StatusWarning
		found.Text += "; the last request for a token failed at " + formatTime(r.Failure.At)
		if cause := r.Failure.cause(); cause != nil {
			found.Text += ": " + cause.Error()
		}
		if now.Before(r.Failure.NotBefore) {
			found.Text += "; get-token sends no request before " + formatTime(r.Failure.NotBefore) +
				", as the server asked"
		}
	}
	return found
}

// CheckExchange requests a new token, as get-token does on a cache miss, and examines it. It
// returns that token as [Get] would, or a Token without a value. It never asks a person to sign in.
func (d *Diagnosis) CheckExchange(ctx context.Context) (Token, []Finding) {
	check := "exchange"
	if d.loginErr != nil {
		skipped := Finding{
			Status: StatusSkipped,
			Check:  check,
			Text:   "not tried: the login cannot start",
		}
		return Token{}, []Finding{skipped}
	}
	var all []Finding
	if d.login.FirstHop != nil {
		check = "second hop"
		all = append(all, d.checkFirstHop(ctx))
		if all[0].Status != StatusOK {
			return Token{}, all
		}
	}
	tok, err := exchange(ctx, d.request, d.options, d.login, d.client)
	values, inFile := ownHintValues(d.request, d.options.Getenv)
	inFile = inFile && d.login.FirstHop == nil
	if !inFile && d.login.HintValues != nil && !d.request.presentsFederatedToken() {
		// The token of a CI system or of a first hop is known only after the exchange.
		if values = d.login.HintValues(); values["issuer"] != "" {
			all = append(all, federatedCredentialFinding(values, d.request))
		}
	}
	if errors.As(err, new(*signInNeededError)) {
		f := ErrorFinding(check, err)
		f.Status = StatusWarning
		return Token{}, append(all, f)
	}
	if err != nil {
		f := ErrorFinding(check, err)
		if hasAADSTS(err, codesNoFederatedCredential...) && values["otherHint"] == "" {
			f.Show = federatedCredentialFinding(values, d.request).Show
		}
		return Token{}, append(all, f)
	}
	ok := Finding{
		Status: StatusOK,
		Check:  check,
		Text: "received a token, valid for " + formatDuration(tok.lifetime()) +
			"; it is not stored",
	}
	all = append(all, ok)
	switch {
	case !d.request.presentsFederatedToken():
		all = append(all, d.accessTokenFinding(tok))
	case !inFile: // CheckLogin shows that of a file
		all = append(all, presentedFinding(tok.Value, d.options.Now()))
	}
	if d.request.PoPEnabled {
		tok, err = signPoP(tok, d.request, d.options.Now())
		if err != nil {
			return Token{}, append(all, ErrorFinding("proof of possession", err))
		}
	}
	return tok, all
}

// ErrorFinding returns a finding with [StatusError] and err in the words of [Explain].
func ErrorFinding(check string, err error) Finding {
	e := Explain(err)
	return Finding{Status: StatusError, Check: check, Text: e.Text, Todo: e.Hint}
}

// accessTokenClaims are the claims of an access token that API servers read.
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
type accessTokenClaims struct {
	Audience   jwt.Audience      `json:"aud"`
	AppID      string            `json:"appid"` // in v1 tokens
	AZP        string            `json:"azp"`   // in v2 tokens
	ObjectID   string            `json:"oid"`
	Tenant     string            `json:"tid"`
	Groups     []string          `json:"groups"`
	ClaimNames map[string]string `json:"_claim_names"` // claims that did not fit into the token
}

func (c accessTokenClaims) groupsText() string {
	switch {
	case c.ClaimNames["groups"] != "":
		return "more groups than fit into it"
	case len(c.Groups) > 0:
		return fmt.Sprintf("%d groups", len(c.Groups))
	}
	return "no groups"
}

// accessTokenFinding shows the claims that API servers read, and compares them with the request.
func (d *Diagnosis) accessTokenFinding(tok Token) Finding {
	found := Finding{Status: StatusOK, Check: "access token"}
	var c accessTokenClaims
	if err := jwt.Decode(tok.Value, &c); err != nil {
		found.Status = StatusWarning
		found.Text = "its claims cannot be read, unlike those of Entra ID's tokens: " + err.Error()
		return found
	}
	app := c.AppID + c.AZP
	found.Text = fmt.Sprintf("aud %s, appid %s, oid %s, tid %s, %s",
		c.Audience, app, c.ObjectID, c.Tenant, c.groupsText())
	r := d.request
	for _, problem := range []struct {
		found      bool
		text, todo string
	}{
		{strings.TrimPrefix(c.Audience.String(), "spn:") != r.audience(),
			"the token is for another audience than requested", "leave --server-id out for AKS"},
		{IsGUID(r.TenantID) && !strings.EqualFold(c.Tenant, r.TenantID),
			"the token is from another tenant than requested", "compare --tenant-id with the " +
				"cluster's tenant"},
		{d.method.usesFlag("client-id") && r.ClientID != "" && !strings.EqualFold(app, r.ClientID),
			"the token is for another client than requested", "compare --client-id with the " +
				"identity's properties"},
		{c.ObjectID == "", "the token has no oid, by which AKS identifies the user",
			"check that the identity has a service principal in the tenant"},
		{c.ClaimNames["groups"] != "", "the identity is in so many groups that the token names none, and AKS cannot look up the groups of an application",
			"put it into fewer than 200 groups, or bind roles to its oid"},
	} {
		if problem.found {
			found.Status, found.Todo = StatusWarning, problem.todo
			found.Text = problem.text + ": " + found.Text
			break
		}
	}
	return found
}
