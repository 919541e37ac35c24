package token

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/jwt"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// maxAssertionLifetime is the longest life of a federated token that Entra ID takes: a day and an
// hour (AADSTS70023).
const maxAssertionLifetime = 25 * time.Hour

// maxClockSkew is by how much clocks may differ before a time is said to be wrong: Entra ID allows
// for five minutes.
// https://learn.microsoft.com/entra/identity-platform/claims-validation
const maxClockSkew = 5 * time.Minute

// fileHintValues are the claims of the federated token in the request's file. here is false where
// the token is not in a file, or cannot be read.
func fileHintValues(r Request) (facts map[string]string, here bool) {
	assertion, err := readFederatedToken(r.federatedTokenFile())
	if err != nil {
		return nil, false
	}
	return assertionHintValues(string(assertion), r), true
}

// diagnoseFederatedToken looks at the federated token as Entra ID will, and says which federated
// credential it needs.
func diagnoseFederatedToken(r Request, w Options) []Finding {
	const check = "federated token"
	if r.FederatedTokenFile == "" && onGitHubActions(w.Getenv) {
		return []Finding{
			{
				Status: StatusOK,
				Check:  check,
				Text:   "GitHub Actions gives the job a new one at every exchange ($" + gitHubActions.urlVariable + ")",
			},
		}
	}
	file, from := r.federatedTokenFile(), r.sourceNote("federated-token-file")
	if isJWT(file) { // refused when the login was opened
		return nil
	}
	assertion, err := readFederatedToken(file)
	if err != nil {
		e := &federatedFileError{
			file:      file,
			from:      from,
			err:       err,
			knownHint: gitHubVariablesHint(r, w.Getenv),
		}
		return []Finding{
			{Status: StatusWrong, Check: check, Text: e.Error(), Todo: e.hint()},
			webhookFinding(file, w),
		}
	}
	c, _ := jwt.Parse(string(assertion)) // it was read once already
	life := readAssertionTimes(string(assertion))
	found := Finding{
		Status: StatusOK,
		Check:  check,
		Text:   fmt.Sprintf("%s%s: %s", file, from, life.describe(w.Now())),
	}
	if trouble := life.problem(c, file, w.Now()); trouble.Status != "" {
		found.Status, found.Todo, found.Text = trouble.Status, trouble.Todo, found.Text+": "+trouble.Text
	}
	facts := assertionHintValues(string(assertion), r)
	all := []Finding{found}
	if who, odd := misuseFinding(c, file, facts, r, w); odd {
		all = append(all, who)
	}
	return append(all, federatedCredentialFinding(facts, r))
}

// webhookFinding says what there is where the webhook's mount is missing: its variables, and the
// folder of the file.
func webhookFinding(file string, w Options) Finding {
	var set, unset []string
	for _, name := range []string{"AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST"} {
		if w.Getenv(name) != "" {
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
		found.Status, found.Text = StatusWarning, "of its variables these are not set: "+strings.Join(
			unset,
			", ",
		)
	}
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		found.Text += "; the folder " + filepath.Dir(file) + " is not there"
	}
	if w.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		found.Text += "; this is no pod ($KUBERNETES_SERVICE_HOST is not set)"
	}
	return found
}

// assertionTimes is what a federated token says of its times; zero times are not said.
type assertionTimes struct{ issued, notBefore, expires time.Time }

func readAssertionTimes(assertion string) assertionTimes {
	var c map[string]json.RawMessage
	_ = jwt.Decode(assertion, &c) // without claims nothing is said
	at := func(claim string) (t time.Time) {
		var seconds float64
		if json.Unmarshal(c[claim], &seconds) == nil && seconds > 0 && seconds < 1e12 {
			t = time.Unix(int64(seconds), 0)
		}
		return t
	}
	return assertionTimes{at("iat"), at("nbf"), at("exp")}
}

// describe say how old it is and what it has left.
func (l assertionTimes) describe(now time.Time) string {
	var words []string
	if !l.issued.IsZero() {
		words = append(words, "issued "+formatDuration(now.Sub(l.issued))+" ago")
	}
	switch {
	case l.expires.IsZero():
		words = append(words, "without an end")
	case now.Before(l.expires):
		words = append(words, "good for another "+formatDuration(l.expires.Sub(now)))
	default:
		words = append(
			words,
			"expired at "+formatTime(l.expires)+", "+formatDuration(now.Sub(l.expires))+" ago",
		)
	}
	if !l.issued.IsZero() && !l.expires.IsZero() {
		words = append(words, "of "+formatDuration(l.expires.Sub(l.issued)))
	}
	return strings.Join(words, ", ")
}

// problem is what Entra ID will not like about the times, or the kubelet should have done by now:
// it replaces a token at four fifths of its life, or after a day
// (https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken). Without a
// Status there is none.
func (l assertionTimes) problem(c jwt.Claims, file string, now time.Time) Finding {
	life := l.expires.Sub(l.issued)
	due := min(life*4/5, 24*time.Hour)
	written := ""
	if fi, err := os.Stat(file); err == nil {
		written = "; the file was written at " + formatTime(fi.ModTime())
	}
	inCluster := strings.HasPrefix(c.Subject, "system:serviceaccount:")
	renew := "whoever writes the file has to renew it"
	if inCluster {
		renew = "the kubelet renews a projected token: a copy of one is not renewed, and one mounted with subPath neither"
	}
	switch {
	case l.expires.IsZero():
		return Finding{
			Status: StatusWrong,
			Text:   "Entra ID wants a token with an end (exp)",
			Todo:   "use a projected token, not one of a Secret",
		}
	case !now.Before(l.expires):
		return Finding{
			Status: StatusWrong,
			Text:   "Entra ID will not take it any more" + written,
			Todo: renew + "; or this machine's clock is wrong (it is " + formatTime(
				now,
			) + " here)",
		}
	case l.issued.After(now.Add(maxClockSkew)) || l.notBefore.After(now.Add(maxClockSkew)):
		return Finding{
			Status: StatusWrong,
			Text:   "it begins in the future",
			Todo: "this machine's clock is wrong (it is " + formatTime(
				now,
			) + " here), or its issuer's",
		}
	case l.issued.IsZero():
		return Finding{}
	case life > maxAssertionLifetime:
		return Finding{
			Status: StatusWrong,
			Text: "Entra ID takes none that lives longer than " + formatDuration(
				maxAssertionLifetime,
			),
			Todo: "use the token projected for Entra ID, not the service account's default one",
		}
	case inCluster && now.Sub(l.issued) > due+life/10:
		return Finding{
			Status: StatusWarning,
			Text: "the kubelet should have replaced it at " + formatTime(
				l.issued.Add(due),
			) + written,
			Todo: renew,
		}
	}
	return Finding{}
}

// misuseFinding tells of a token that was made for something else than to be shown to Entra ID.
func misuseFinding(
	c jwt.Claims,
	file string,
	facts map[string]string,
	r Request,
	w Options,
) (found Finding, odd bool) {
	found = Finding{Status: StatusWrong, Check: "federated token"}
	proxied := r.AzureTokenProxy != "off" && w.Getenv(tokenProxyVariable) != ""
	facts["source"], facts["wanted"] = file+r.sourceNote(
		"federated-token-file",
	), r.exchangeAudience()
	switch {
	case facts["elsewhere"] != "" && !proxied:
		found.Text = "issuer " + facts["issuer"] + " and audience " + facts["assertion-audience"] + " are not those of a token for Entra ID"
		if strings.HasPrefix(file, "/var/run/secrets/kubernetes.io/serviceaccount/") {
			found.Text = "this is the service account's default token, for the cluster's own API server, and not the one projected for Entra ID"
		}
		found.Todo = expandHint(facts["elsewhere"], facts)
		return found, true
	case !slices.Contains(c.Audience, r.exchangeAudience()) && !proxied:
		found.Status, found.Text = StatusWarning, "its audience is "+facts["assertion-audience"]+" , and in this cloud it is "+r.exchangeAudience()+" unless the federated credential names another"
		return found, true
	}
	return found, false
}

// federatedCredentialFindings is the finding of [federatedCredentialFinding], where a login knows
// of a federated token; else none.
func federatedCredentialFindings(login Login, r Request) []Finding {
	if login.HintValues == nil {
		return nil
	}
	facts := login.HintValues()
	if facts["issuer"] == "" {
		return nil
	}
	return []Finding{federatedCredentialFinding(facts, r)}
}

// federatedCredentialFinding says which federated credential has to exist, and how it is made.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust-user-assigned-managed-identity
func federatedCredentialFinding(facts map[string]string, r Request) Finding {
	issuer, subject, audience := facts["issuer"], facts["subject"], facts["assertion-audience"]
	slash := "no slash at the issuer's end"
	if strings.HasSuffix(issuer, "/") {
		slash = "with the slash at the issuer's end"
	}
	found := Finding{
		Status: StatusOK,
		Check:  "federated credential",
		Text: fmt.Sprintf(
			"the identity needs one with exactly issuer %s , subject %s and audience %s , %s",
			issuer,
			subject,
			audience,
			slash,
		),
	}
	for _, value := range []string{issuer, subject, audience} {
		if facts["altered"] != "" ||
			!redact.IsPlain(value, "-._~:/@+=#?&%,") { // not to be pasted into a shell
			found.Status, found.Todo = StatusWarning, "compare these by hand: they hold characters that are not written into a command here"
			return found
		}
	}
	parameters, _ := json.Marshal(
		map[string]any{
			"name":      "akslogin",
			"issuer":    issuer,
			"subject":   subject,
			"audiences": []string{audience},
		},
	) // strings do not fail
	client := r.ClientID
	if client == "" {
		client = "CLIENT_ID"
	}
	found.Show = []string{
		"# for a managed identity",
		"az identity federated-credential create --resource-group GROUP --identity-name IDENTITY --name akslogin " +
			fmt.Sprintf(
				"--issuer '%s' --subject '%s' --audiences '%s'",
				issuer,
				subject,
				audience,
			),
		"# for an application",
		fmt.Sprintf(
			"az ad app federated-credential create --id '%s' --parameters '%s'",
			client,
			parameters,
		),
		"// in Bicep",
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
	return found
}
