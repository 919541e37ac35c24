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

// Diagnosis looks at one request and at all that answering it takes. Only [Diagnosis.Reach] and
// [Diagnosis.Exchange] use the network, and nothing is stored.
type Diagnosis struct {
	request  Request
	options  Options
	method   Method // without a name where it is unknown
	client   entra.Client
	login    Login
	loginErr error // why the login cannot begin; nil: it can
}

// Diagnose makes a resolved request ready to be looked at, as far as [Get] would come without the
// network.
func Diagnose(r Request, w Options) *Diagnosis {
	d := &Diagnosis{request: r, options: w.withDefaults()}
	d.options.Prompt = nil // a diagnosis asks nobody
	d.method, d.loginErr = r.Check()
	if d.method.Name == "" {
		return d
	}
	wr, err := newClient(d.method, r, d.options)
	d.client = wr
	if d.loginErr == nil {
		d.loginErr = err
	}
	if d.loginErr == nil {
		d.login, d.loginErr = d.method.Open(r, d.options, wr)
	}
	return d
}

// CheckLogin says whether the login can begin, and looks at what it presents.
func (d *Diagnosis) CheckLogin() []Finding {
	var all []Finding
	switch {
	case d.loginErr == nil:
		all = append(
			all,
			Finding{
				Status: StatusOK,
				Check:  "login method",
				Text:   d.method.Name + ": " + strings.ReplaceAll(d.method.About, "`", ""),
			},
		)
	case d.method.Diagnose == nil || !errors.As(d.loginErr, new(*federatedFileError)): // Examine says that of a file
		all = append(all, ErrorFinding("login method", d.loginErr))
	}
	if d.method.Diagnose != nil {
		all = append(all, d.method.Diagnose(d.request, d.options)...)
	}
	return all
}

// CheckCache says what the store has for the request.
func (d *Diagnosis) CheckCache() Finding {
	found := Finding{Status: StatusOK, Check: "cached token"}
	if d.loginErr != nil {
		return Finding{
			Status: StatusSkipped,
			Check:  found.Check,
			Text:   "not looked for: the login cannot begin",
		}
	}
	store := d.options.openStore(d.login.Secret, d.login.Inputs)
	if store == nil {
		return Finding{
			Status: StatusWarning,
			Check:  found.Check,
			Text:   "nothing is kept for this login: there is no key to seal it with, so every run asks for a token",
			Todo:   "the user's data folder (~/.local/share, or $XDG_DATA_HOME) has to be writable",
		}
	}
	now := d.options.Now()
	var r cacheRecord
	data, err := store.get()
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found.Text = "none for this login yet"
	case err != nil:
		found.Text = "none for this login: " + err.Error()
	case r.Token.fresh(now):
		found.Text = "one that is good until " + formatTime(
			r.Token.Expires,
		) + " ; get-token answers with it and asks nobody"
	case r.Token.valid(now):
		found.Text = "one that is good until " + formatTime(
			r.Token.Expires,
		) + " ; get-token will try to renew it"
	default:
		found.Text = "none that is good now"
	}
	if r.Failure != nil {
		found.Status = StatusWarning
		found.Text += "; asking for another one failed at " + formatTime(r.Failure.At)
		if r.Failure.Refusal != nil {
			found.Text += ": " + r.Failure.Refusal.Error()
		}
	}
	return found
}

// CheckExchange asks for a new token, as get-token would where nothing is cached, and looks at it. It returns that token as [Get] would, or one
// without a value. A person is not asked.
func (d *Diagnosis) CheckExchange(ctx context.Context) (Token, []Finding) {
	const check = "exchange"
	if d.loginErr != nil {
		return Token{}, []Finding{
			{Status: StatusSkipped, Check: check, Text: "not tried: the login cannot begin"},
		}
	}
	tok, err := exchange(ctx, d.request, d.options, d.login, d.client)
	var all []Finding
	if _, here := fileHintValues(d.request); !here { // what a CI system has given is known only now
		all = federatedCredentialFindings(d.login, d.request)
	}
	if errors.As(err, new(*signInNeededError)) {
		f := ErrorFinding(check, err)
		f.Status = StatusWarning
		return Token{}, append(all, f)
	}
	if err != nil {
		return Token{}, append(all, ErrorFinding(check, err))
	}
	all = append(
		all,
		Finding{
			Status: StatusOK,
			Check:  check,
			Text: "a token came, good for " + formatDuration(
				tok.lifetime(),
			) + "; it is not stored",
		},
		d.accessTokenFinding(tok),
	)
	if d.request.PoPEnabled {
		tok, err = signPoP(tok, d.request, d.options.Now())
		if err != nil {
			return Token{}, append(all, ErrorFinding("proof of possession", err))
		}
	}
	return tok, all
}

// accessTokenFinding says what API servers will see in a token. https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
func (d *Diagnosis) accessTokenFinding(tok Token) Finding {
	var c struct {
		Audience  jwt.Audience      `json:"aud"`
		AppID     string            `json:"appid"` // in v1 tokens
		AZP       string            `json:"azp"`   // in v2 tokens
		ObjectID  string            `json:"oid"`
		Tenant    string            `json:"tid"`
		Groups    []string          `json:"groups"`
		Elsewhere map[string]string `json:"_claim_names"`
	}
	found := Finding{Status: StatusOK, Check: "access token"}
	if err := jwt.Decode(tok.Value, &c); err != nil {
		return Finding{
			Status: StatusWarning,
			Check:  found.Check,
			Text:   "its claims cannot be read, as Entra ID's can: " + err.Error(),
		}
	}
	app := c.AppID + c.AZP
	groups := "no groups"
	if len(c.Groups) > 0 {
		groups = fmt.Sprintf("%d groups", len(c.Groups))
	}
	if c.Elsewhere["groups"] != "" {
		groups = "more groups than fit into it"
	}
	found.Text = fmt.Sprintf(
		"aud %s, appid %s, oid %s, tid %s, %s",
		c.Audience,
		app,
		c.ObjectID,
		c.Tenant,
		groups,
	)
	for _, odd := range []struct {
		is         bool
		text, todo string
	}{
		{strings.TrimPrefix(c.Audience.String(), "spn:") != d.request.audience(), "the token is for another audience than was asked for", "leave --server-id out for AKS"},
		{IsGUID(d.request.TenantID) && !strings.EqualFold(c.Tenant, d.request.TenantID), "the token is of another tenant than was asked for", "compare --tenant-id with the cluster's tenant"},
		{d.method.usesFlag("client-id") && d.request.ClientID != "" && !strings.EqualFold(app, d.request.ClientID), "the token is for another client than was asked with", "compare --client-id with the identity's properties"},
		{c.ObjectID == "", "the token has no oid, by which AKS knows who somebody is", "see that the identity has a service principal in the tenant"},
		{c.Elsewhere["groups"] != "", "who logs in is in so many groups that the token names none, and AKS cannot look those of an application up",
			"have it in fewer than 200 groups, or bind roles to its oid"},
	} {
		if odd.is {
			found.Status, found.Text, found.Todo = StatusWarning, odd.text+": "+found.Text, odd.todo
			break
		}
	}
	return found
}
