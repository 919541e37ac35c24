package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/jwt"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// maxAssertionLifetime is the longest lifetime of a federated token that Entra ID accepts: 25 hours
// (AADSTS70023).
const maxAssertionLifetime = 25 * time.Hour

// maxClockSkew is the difference between clocks that Entra ID tolerates.
// https://learn.microsoft.com/entra/identity-platform/claims-validation
const maxClockSkew = 5 * time.Minute

// ownHintValues returns the hint values of the federated token in r's file or variable. ok is false
// if the token is elsewhere, or cannot be read.
func ownHintValues(r Request, getenv func(string) string) (values map[string]string, ok bool) {
	assertion, err := r.readFederatedToken(getenv)
	if err != nil {
		return nil, false
	}
	return assertionHintValues(string(assertion), r), true
}

// diagnoseFederatedToken examines the federated token as Entra ID will, and shows the federated
// credential that it needs.
func diagnoseFederatedToken(r Request, opts Options) []Finding {
	found := Finding{Status: StatusOK, Check: "federated token"}
	if c, ok := findCISystem(r, opts.Getenv); ok {
		found.Status = StatusInfo
		found.Text = c.name + " gives the job a new one at every exchange ($" + c.urlVariable + ")"
		return []Finding{found}
	}
	place, source := r.federatedTokenPlace()
	if isJWT(place) { // Open reports this error
		return nil
	}
	assertion, err := r.readFederatedToken(opts.Getenv)
	if err != nil {
		e := &noFederatedTokenError{place, source, err, incompleteCIHint(r, opts.Getenv)}
		found.Status, found.Text, found.Todo = StatusError, e.Error(), e.hint()
		if r.FederatedTokenEnv != "" {
			return []Finding{found}
		}
		return []Finding{found, webhookFinding(place, opts)}
	}
	c, _ := jwt.Parse(string(assertion)) // readFederatedToken has checked it
	times := readAssertionTimes(string(assertion))
	found.Text = fmt.Sprintf("%s%s: %s", place, source, times.describe(opts.Now()))
	if problem := times.problem(c, place, opts.Now()); problem.Status != "" {
		found.Status, found.Todo = problem.Status, problem.Todo
		found.Text += ": " + problem.Text
	}
	values := assertionHintValues(string(assertion), r)
	all := []Finding{found}
	if misuse, ok := misuseFinding(c, values, r, opts); ok {
		all = append(all, misuse)
	}
	return append(all, federatedCredentialFinding(values, r))
}

// webhookVariables are the variables that the Azure workload identity webhook sets in a pod.
var webhookVariables = []string{
	"AZURE_FEDERATED_TOKEN_FILE",
	"AZURE_CLIENT_ID",
	"AZURE_TENANT_ID",
	"AZURE_AUTHORITY_HOST",
}

// webhookFinding reports what the Azure workload identity webhook has done in this pod. It explains
// why the token file is missing.
func webhookFinding(file string, opts Options) Finding {
	var set, unset []string
	for _, name := range webhookVariables {
		if opts.Getenv(name) != "" {
			set = append(set, "$"+name)
		} else {
			unset = append(unset, "$"+name)
		}
	}
	found := Finding{
		Status: StatusOK,
		Check:  "webhook",
		Text:   "its variables are set: " + strings.Join(set, ", "),
	}
	if len(unset) > 0 {
		found.Status = StatusWarning
		found.Text = "these of its variables are not set: " + strings.Join(unset, ", ")
	}
	if dir := filepath.Dir(file); !exists(dir) {
		found.Text += "; the folder " + dir + " does not exist"
	}
	if opts.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		found.Text += "; this is not a pod ($KUBERNETES_SERVICE_HOST is not set)"
	}
	return found
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// isAbsent reports whether there is no file at path. A file that this user cannot reach is not
// absent: a login with it must fail, so that no other login is used instead.
func isAbsent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// assertionTimes are the claims iat, nbf and exp of a federated token. A zero time means that the
// claim is absent.
type assertionTimes struct{ issued, notBefore, expires time.Time }

func readAssertionTimes(assertion string) assertionTimes {
	var c map[string]json.RawMessage
	_ = jwt.Decode(assertion, &c) // on an error all claims are absent
	at := func(claim string) (t time.Time) {
		var seconds float64
		if json.Unmarshal(c[claim], &seconds) == nil && seconds > 0 && seconds < 1e12 {
			t = time.Unix(int64(seconds), 0)
		}
		return t
	}
	return assertionTimes{at("iat"), at("nbf"), at("exp")}
}

// describe returns the token's age, the time that it has left, and its lifetime.
func (t assertionTimes) describe(now time.Time) string {
	var parts []string
	if !t.issued.IsZero() {
		parts = append(parts, "issued "+formatDuration(now.Sub(t.issued))+" ago")
	}
	switch {
	case t.expires.IsZero():
		parts = append(parts, "without an expiry")
	case now.Before(t.expires):
		parts = append(parts, "valid for another "+formatDuration(t.expires.Sub(now)))
	default:
		ago := formatDuration(now.Sub(t.expires))
		parts = append(parts, "expired at "+formatTime(t.expires)+", "+ago+" ago")
	}
	if !t.issued.IsZero() && !t.expires.IsZero() {
		parts = append(parts, "lifetime "+formatDuration(t.expires.Sub(t.issued)))
	}
	return strings.Join(parts, ", ")
}

// problem reports times that Entra ID refuses, and a token that the kubelet should have replaced:
// it does so after four fifths of the lifetime, or after a day
// (https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken). The
// finding has no Status if there is no problem, and never a Check.
func (t assertionTimes) problem(c jwt.Claims, file string, now time.Time) Finding {
	lifetime := t.expires.Sub(t.issued)
	rotation := min(lifetime*4/5, 24*time.Hour)
	written := ""
	if fi, err := os.Stat(file); err == nil {
		written = "; the file was written at " + formatTime(fi.ModTime())
	}
	isServiceAccount := strings.HasPrefix(c.Subject, "system:serviceaccount:")
	renew := "the program that writes or sets it must renew it"
	if isServiceAccount {
		renew = "the kubelet renews a projected token, but not a copy of it, and not one that is " +
			"mounted with subPath"
	}
	clock := "this machine's clock is wrong (it is " + formatTime(now) + " here)"
	latest := now.Add(maxClockSkew)
	switch {
	case t.expires.IsZero():
		return Finding{
			Status: StatusError,
			Text:   "Entra ID requires a token with an expiry (exp)",
			Todo:   "use a projected token, not one of a Secret",
		}
	case !now.Before(t.expires):
		return Finding{
			Status: StatusError,
			Text:   "Entra ID does not accept it any more" + written,
			Todo:   renew + "; or " + clock,
		}
	case t.issued.After(latest) || t.notBefore.After(latest):
		return Finding{
			Status: StatusError,
			Text:   "it is not valid yet: its iat or nbf is in the future",
			Todo:   clock + ", or its issuer's",
		}
	case t.issued.IsZero():
		return Finding{}
	case lifetime > maxAssertionLifetime:
		return Finding{
			Status: StatusError,
			Text:   "Entra ID accepts no lifetime over " + formatDuration(maxAssertionLifetime),
			Todo:   "use the token projected for Entra ID, not the service account's default one",
		}
	case isServiceAccount && now.Sub(t.issued) > rotation+lifetime/10:
		replaceAt := formatTime(t.issued.Add(rotation))
		return Finding{
			Status: StatusWarning,
			Text:   "the kubelet should have replaced it at " + replaceAt + written,
			Todo:   renew,
		}
	}
	return Finding{}
}

// misuseFinding reports a token that was issued for something other than Entra ID. It adds to
// values what the hint needs.
func misuseFinding(
	c jwt.Claims,
	values map[string]string,
	r Request,
	opts Options,
) (_ Finding, found bool) {
	usesProxy := r.AzureTokenProxy != "off" && opts.Getenv(tokenProxyVariable) != ""
	if usesProxy { // the proxy may accept other tokens
		return Finding{}, false
	}
	place, source := r.federatedTokenPlace()
	values["source"] = place + source
	values["exchange-audience"] = r.exchangeAudience()
	f := Finding{Status: StatusError, Check: "federated token"}
	switch {
	case values["otherHint"] != "":
		f.Text = "issuer " + values["issuer"] + " and audience " + values["assertion-audience"] + " are not those of a token for Entra ID"
		if strings.HasPrefix(place, "/var/run/secrets/kubernetes.io/serviceaccount/") {
			f.Text = "this is the service account's default token, for the cluster's own API " +
				"server, not the one projected for Entra ID"
		}
		f.Todo = expandHint(values["otherHint"], values)
		return f, true
	case !slices.Contains(c.Audience, r.exchangeAudience()):
		f.Status = StatusWarning
		f.Text = "its audience is " + values["assertion-audience"] + " , but in this cloud it " +
			"must be " + r.exchangeAudience() + " unless the federated credential names another"
		return f, true
	}
	return Finding{}, false
}

// federatedCredentialFinding shows the federated credential that must exist, and how to create it.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust-user-assigned-managed-identity
func federatedCredentialFinding(values map[string]string, r Request) Finding {
	issuer, subject, audience := values["issuer"], values["subject"], values["assertion-audience"]
	slash := "no slash at the issuer's end"
	if strings.HasSuffix(issuer, "/") {
		slash = "with the slash at the issuer's end"
	}
	who := "the identity"
	if r.Login == federatedManagedIdentityName {
		who = "the application"
	}
	found := Finding{
		Status: StatusInfo,
		Check:  "federated credential",
		Text: fmt.Sprintf(
			"%s needs one with exactly issuer %s , subject %s and audience %s , %s",
			who, issuer, subject, audience, slash,
		),
	}
	shell := shellOf(runtime.GOOS)
	for _, value := range []string{issuer, subject, audience} {
		// A value with other characters must not be pasted into a shell.
		if values["redactedClaim"] != "" || !redact.IsPlain(value, shell.safe) {
			found.Status = StatusWarning
			found.Todo = "compare these by hand: they have characters that are not safe in a command"
			return found
		}
	}
	client := r.ClientID
	if client == "" {
		client = "CLIENT_ID"
	}
	found.Show = federatedCredentialCommands(shell, r.Login, client, issuer, subject, audience)
	return found
}

// federatedCredentialCommands returns commands that create the federated credential of a login
// method's identity.
func federatedCredentialCommands(
	sh shell, login, client, issuer, subject, audience string,
) []string {
	parameters, _ := json.Marshal(map[string]any{ // strings cannot fail
		"name":      "akslogin",
		"issuer":    issuer,
		"subject":   subject,
		"audiences": []string{audience},
	})
	application := "az ad app federated-credential create --id " + sh.quote(client) +
		" --parameters " + sh.quote(string(parameters))
	if login == federatedManagedIdentityName {
		return []string{"# in the application's own tenant, that of the managed identity" + sh.note, application}
	}
	return []string{
		"# create the federated credential of a managed identity" + sh.note,
		fmt.Sprintf("az identity federated-credential create --resource-group GROUP --identity-name IDENTITY --name akslogin "+
			"--issuer %s --subject %s --audiences %s", sh.quote(issuer), sh.quote(subject), sh.quote(audience)),
		"# or of an application" + sh.note,
		application,
		"// or in Bicep",
		"resource federated 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {",
		"  parent: identity",
		"  name: 'akslogin'",
		"  properties: {",
		"    issuer: '" + issuer + "'",
		"    subject: '" + subject + "'",
		"    audiences: ['" + audience + "']",
		"  }",
		"}",
	}
}

// shell is what users of a system paste commands into.
type shell struct {
	quote func(string) string // for an argument without single quotes, of characters in safe
	safe  string              // safe in quote's quotes, besides letters and digits
	note  string              // names the shell; "" if all are alike
}

// shellOf returns the shell of a system. PowerShell does not pass quotes in arguments on to
// programs before version 7.3, so commands for Windows are for cmd.exe. It ends its quotes at the
// escaped ones in JSON, and replaces %NAME% everywhere, so & and % are not safe there.
func shellOf(goos string) shell {
	if goos == "windows" {
		return shell{
			quote: func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` },
			safe:  "-._~:/@+=#?,",
			note:  " (cmd.exe)",
		}
	}
	return shell{
		quote: func(s string) string { return "'" + s + "'" },
		safe:  "-._~:/@+=#?&%,",
	}
}
