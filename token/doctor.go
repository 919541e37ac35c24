package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Finding is one line of a diagnosis. It may hold foreign text: Presentable makes it fit to be shown.
type Finding struct {
	Status Status   `json:"status"`
	Check  string   `json:"check"`          // what was looked at, in a word or two
	Text   string   `json:"text"`           // what was found
	Todo   string   `json:"todo,omitempty"` // what to do
	Show   []string `json:"show,omitempty"` // lines to be copied elsewhere
}

// Status is how a check ended.
type Status string

// Skipped is a check that was not made; Warning is what may be meant so, or will trouble later; Wrong is why logins fail.
const (
	OK      Status = "ok"
	Skipped Status = "skipped"
	Warning Status = "warning"
	Wrong   Status = "wrong"
)

// Presentable returns the finding with each text on one line, of bounded length, without control characters, tokens and secrets.
func (f Finding) Presentable() Finding {
	f.Text, f.Todo, f.Show = Clean(f.Text), Clean(f.Todo), slices.Clone(f.Show)
	for i, line := range f.Show { // indented lines stay so
		text := strings.TrimLeft(line, " ")
		f.Show[i] = line[:len(line)-len(text)] + Clean(text)
	}
	return f
}

// explained is an error as a finding.
func explained(check string, err error) Finding {
	e := Explain(err)
	return Finding{Status: Wrong, Check: check, Text: e.Text, Todo: e.Hint}
}

// Diagnosis looks at one request and at all that answering it takes. Only [Diagnosis.Reach] and [Diagnosis.Exchange] use the network, and
// nothing is stored.
type Diagnosis struct {
	request Request
	world   World
	method  Method // without a name where it is unknown
	wire    wire
	login   Login
	failed  error // why the login cannot begin; nil: it can
}

// Diagnose makes a resolved request ready to be looked at, as far as [Get] would come without the network.
func Diagnose(r Request, w World) *Diagnosis {
	d := &Diagnosis{request: r, world: w.orDefaults()}
	d.world.Prompt = nil // a diagnosis asks nobody
	d.method, d.failed = r.Check()
	if d.method.Name == "" {
		return d
	}
	wr, err := newWire(d.method, r, d.world)
	d.wire = wr
	if d.failed == nil {
		d.failed = err
	}
	if d.failed == nil {
		d.login, d.failed = d.method.Open(r, d.world, wr)
	}
	return d
}

// Login says whether the login can begin, and looks at what it presents.
func (d *Diagnosis) Login() []Finding {
	var all []Finding
	switch {
	case d.failed == nil:
		all = append(all, Finding{Status: OK, Check: "login method", Text: d.method.Name + ": " + strings.ReplaceAll(d.method.About, "`", "")})
	case d.method.Examine == nil || !errors.As(d.failed, new(*fileError)): // Examine says that of a file
		all = append(all, explained("login method", d.failed))
	}
	if d.method.Examine != nil {
		all = append(all, d.method.Examine(d.request, d.world)...)
	}
	return all
}

// Cached says what the store has for the request.
func (d *Diagnosis) Cached() Finding {
	found := Finding{Status: OK, Check: "cached token"}
	if d.failed != nil {
		return Finding{Status: Skipped, Check: found.Check, Text: "not looked for: the login cannot begin"}
	}
	store := d.world.keep(d.login.Secret, d.login.Inputs)
	if store == nil {
		return Finding{Status: Warning, Check: found.Check, Text: "nothing is kept for this login: there is no key to seal it with, so every run asks for a token",
			Todo: "the user's data folder (~/.local/share, or $XDG_DATA_HOME) has to be writable"}
	}
	now := d.world.Now()
	var r record
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
		found.Text = "one that is good until " + moment(r.Token.Expires) + " ; get-token answers with it and asks nobody"
	case r.Token.works(now):
		found.Text = "one that is good until " + moment(r.Token.Expires) + " ; get-token will try to renew it"
	default:
		found.Text = "none that is good now"
	}
	if r.Failure != nil {
		found.Status = Warning
		found.Text += "; asking for another one failed at " + moment(r.Failure.At)
		if r.Failure.Refusal != nil {
			found.Text += ": " + r.Failure.Refusal.Error()
		}
	}
	return found
}

// Exchange asks for a new token, as get-token would where nothing is cached, and looks at it. It returns that token as [Get] would, or one
// without a value. A person is not asked.
func (d *Diagnosis) Exchange(ctx context.Context) (Token, []Finding) {
	const check = "exchange"
	if d.failed != nil {
		return Token{}, []Finding{{Status: Skipped, Check: check, Text: "not tried: the login cannot begin"}}
	}
	tok, err := exchange(ctx, d.request, d.world, d.login, d.wire)
	var all []Finding
	if _, here := fileFacts(d.request); !here { // what a CI system has given is known only now
		all = credential(d.login, d.request)
	}
	if errors.As(err, new(*needsPerson)) {
		f := explained(check, err)
		f.Status = Warning
		return Token{}, append(all, f)
	}
	if err != nil {
		return Token{}, append(all, explained(check, err))
	}
	all = append(all,
		Finding{Status: OK, Check: check, Text: "a token came, good for " + length(tok.life()) + "; it is not stored"},
		d.accessToken(tok))
	if d.request.PoPEnabled {
		tok, err = proven(tok, d.request, d.world.Now())
		if err != nil {
			return Token{}, append(all, explained("proof of possession", err))
		}
	}
	return tok, all
}

// accessToken says what API servers will see in a token. https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
func (d *Diagnosis) accessToken(tok Token) Finding {
	var c struct {
		Audience  audience          `json:"aud"`
		AppID     string            `json:"appid"` // in v1 tokens
		AZP       string            `json:"azp"`   // in v2 tokens
		ObjectID  string            `json:"oid"`
		Tenant    string            `json:"tid"`
		Groups    []string          `json:"groups"`
		Elsewhere map[string]string `json:"_claim_names"`
	}
	found := Finding{Status: OK, Check: "access token"}
	if err := claimsInto(tok.Value, &c); err != nil {
		return Finding{Status: Warning, Check: found.Check, Text: "its claims cannot be read, as Entra ID's can: " + err.Error()}
	}
	app := c.AppID + c.AZP
	groups := "no groups"
	if len(c.Groups) > 0 {
		groups = fmt.Sprintf("%d groups", len(c.Groups))
	}
	if c.Elsewhere["groups"] != "" {
		groups = "more groups than fit into it"
	}
	found.Text = fmt.Sprintf("aud %s, appid %s, oid %s, tid %s, %s", c.Audience, app, c.ObjectID, c.Tenant, groups)
	for _, odd := range []struct {
		is         bool
		text, todo string
	}{
		{strings.TrimPrefix(c.Audience.String(), "spn:") != d.request.audience(), "the token is for another audience than was asked for", "leave --server-id out for AKS"},
		{IsGUID(d.request.TenantID) && !strings.EqualFold(c.Tenant, d.request.TenantID), "the token is of another tenant than was asked for", "compare --tenant-id with the cluster's tenant"},
		{d.method.takes("client-id") && d.request.ClientID != "" && !strings.EqualFold(app, d.request.ClientID), "the token is for another client than was asked with", "compare --client-id with the identity's properties"},
		{c.ObjectID == "", "the token has no oid, by which AKS knows who somebody is", "see that the identity has a service principal in the tenant"},
		{c.Elsewhere["groups"] != "", "who logs in is in so many groups that the token names none, and AKS cannot look those of an application up",
			"have it in fewer than 200 groups, or bind roles to its oid"},
	} {
		if odd.is {
			found.Status, found.Text, found.Todo = Warning, odd.text+": "+found.Text, odd.todo
			break
		}
	}
	return found
}

// Sources says of every flag that r's login reads where its value comes from, and which other values it won over. r is resolved;
// typed is what it was resolved from, with what told which flags were given; called says what a source is called where not by its own name.
func (r Request) Sources(typed Request, given func(flag string) bool, getenv func(string) string, called func(from string) string) []Finding {
	m, _ := method(r.Login)
	var all []Finding
	for i := range reflect.TypeFor[Request]().NumField() {
		tag := reflect.TypeFor[Request]().Field(i).Tag
		flag := tag.Get("name")
		from, ignored, _ := strings.Cut(r.From[flag], ", ")
		switch {
		case from == "":
			continue
		case flag != "login" && !m.takes(flag) && tag.Get("group") != "general":
			if given(flag) {
				all = append(all, Finding{Status: OK, Check: flag, Text: "login " + r.Login + " does not read it (" + called("--"+flag) + ")"})
			}
			continue
		}
		found := Finding{Status: OK, Check: flag, Text: shown(flag, r.value(flag)) + " (" + called(from) + ")"}
		if ignored != "" {
			found.Text = fmt.Sprintf("%s (%s) is %s", shown(flag, getenv(strings.TrimPrefix(from, "$"))), called(from), ignored)
		}
		for _, lost := range r.losers(typed, flag, from, given, getenv) {
			if lost.value == fmt.Sprint(r.value(flag)) {
				continue
			}
			found.Text += fmt.Sprintf("; stronger than %s (%s)", shown(flag, lost.value), called(lost.from))
			if lost.from == "--"+flag {
				found.Status, found.Todo = Warning, "if the flag is what you mean, unset "+from+" or give --disable-environment-override"
			}
		}
		if flag == "client-id" && r.publicGiven {
			found.Text += "; " + PublicClient + " counts as not given: az writes it into every kubeconfig"
		}
		all = append(all, found)
	}
	return all
}

type source struct{ from, value string }

// losers are the sources of a flag that have a value and are not the one it came from.
func (r Request) losers(typed Request, flag, from string, given func(string) bool, getenv func(string) string) []source {
	var all []source
	if value := fmt.Sprint(typed.value(flag)); given(flag) && from != "--"+flag && !strings.EqualFold(value, PublicClient) {
		all = append(all, source{"--" + flag, value})
	}
	for _, v := range variablesOf(flag) {
		if value := getenv(v.Name); value != "" && r.reads(v) && from != "$"+v.Name {
			all = append(all, source{"$" + v.Name, value})
		}
	}
	return all
}

// shown is a flag's value, or what of it is not secret.
func shown(flag string, value any) string {
	switch text := fmt.Sprint(value); {
	case isSecret(flag):
		return "(secret)"
	case flag == "authority-host", flag == "redirect-url":
		return address(text)
	default:
		return text
	}
}

// moment is a time for people: RFC 3339 in UTC and whole seconds.
func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// length is a length of time for people, without what nobody wants to know.
func length(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Minute:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return d.Round(time.Second).String()
}
