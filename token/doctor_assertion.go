package token

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// longestAssertion is the longest life of a federated token that Entra ID takes: a day and an hour (AADSTS70023).
const longestAssertion = 25 * time.Hour

// clockSlack is by how much clocks may differ before a time is said to be wrong: Entra ID allows for five minutes.
// https://learn.microsoft.com/entra/identity-platform/claims-validation
const clockSlack = 5 * time.Minute

// fileFacts are the claims of the federated token in the request's file. here is false where the token is not in a file, or cannot be read.
func fileFacts(r Request) (facts map[string]string, here bool) {
	assertion, err := readFederatedToken(r.federatedTokenFile())
	if err != nil {
		return nil, false
	}
	return assertionFacts(string(assertion), r), true
}

// examineFederatedToken looks at the federated token as Entra ID will, and says which federated credential it needs.
func examineFederatedToken(r Request, w World) []Finding {
	const check = "federated token"
	if r.FederatedTokenFile == "" && onGitHub(w.Getenv) {
		return []Finding{{Status: OK, Check: check, Text: "GitHub Actions gives the job a new one at every exchange ($" + gitHub.addressVariable + ")"}}
	}
	file, from := r.federatedTokenFile(), r.from("federated-token-file")
	if isAssertion(file) { // refused when the login was opened
		return nil
	}
	assertion, err := readFederatedToken(file)
	if err != nil {
		e := &fileError{file: file, from: from, err: err, todo: halfOnGitHub(r, w.Getenv)}
		return []Finding{{Status: Wrong, Check: check, Text: e.Error(), Todo: e.hint()}, beside(file, w)}
	}
	c, _ := claimsOf(string(assertion)) // it was read once already
	life := lifeOf(string(assertion))
	found := Finding{Status: OK, Check: check, Text: fmt.Sprintf("%s%s: %s", file, from, life.words(w.Now()))}
	if trouble := life.trouble(c, file, w.Now()); trouble.Status != "" {
		found.Status, found.Todo, found.Text = trouble.Status, trouble.Todo, found.Text+": "+trouble.Text
	}
	facts := assertionFacts(string(assertion), r)
	all := []Finding{found}
	if who, odd := misused(c, file, facts, r, w); odd {
		all = append(all, who)
	}
	return append(all, credentialFor(facts, r))
}

func (r Request) federatedTokenFile() string {
	if r.FederatedTokenFile != "" {
		return r.FederatedTokenFile
	}
	return WellKnownTokenFile
}

// beside says what there is where the webhook's mount is missing: its variables, and the folder of the file.
func beside(file string, w World) Finding {
	var set, unset []string
	for _, name := range []string{"AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST"} {
		if w.Getenv(name) != "" {
			set = append(set, "$"+name)
		} else {
			unset = append(unset, "$"+name)
		}
	}
	found := Finding{Status: OK, Check: "webhook", Text: "its variables are set: " + strings.Join(set, ", ")}
	if len(unset) > 0 {
		found.Status, found.Text = Warning, "of its variables these are not set: "+strings.Join(unset, ", ")
	}
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		found.Text += "; the folder " + filepath.Dir(file) + " is not there"
	}
	if w.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		found.Text += "; this is no pod ($KUBERNETES_SERVICE_HOST is not set)"
	}
	return found
}

// lifetime is what a federated token says of its times; zero times are not said.
type lifetime struct{ issued, begins, expires time.Time }

func lifeOf(assertion string) lifetime {
	var c map[string]json.RawMessage
	_ = claimsInto(assertion, &c) // without claims nothing is said
	at := func(claim string) (t time.Time) {
		var seconds float64
		if json.Unmarshal(c[claim], &seconds) == nil && seconds > 0 && seconds < 1e12 {
			t = time.Unix(int64(seconds), 0)
		}
		return t
	}
	return lifetime{at("iat"), at("nbf"), at("exp")}
}

// words say how old it is and what it has left.
func (l lifetime) words(now time.Time) string {
	var words []string
	if !l.issued.IsZero() {
		words = append(words, "issued "+length(now.Sub(l.issued))+" ago")
	}
	switch {
	case l.expires.IsZero():
		words = append(words, "without an end")
	case now.Before(l.expires):
		words = append(words, "good for another "+length(l.expires.Sub(now)))
	default:
		words = append(words, "expired at "+moment(l.expires)+", "+length(now.Sub(l.expires))+" ago")
	}
	if !l.issued.IsZero() && !l.expires.IsZero() {
		words = append(words, "of "+length(l.expires.Sub(l.issued)))
	}
	return strings.Join(words, ", ")
}

// trouble is what Entra ID will not like about the times, or the kubelet should have done by now: it replaces a token at four fifths of its
// life, or after a day (https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken). Without a Status there is none.
func (l lifetime) trouble(c claims, file string, now time.Time) Finding {
	life := l.expires.Sub(l.issued)
	due := min(life*4/5, 24*time.Hour)
	written := ""
	if fi, err := os.Stat(file); err == nil {
		written = "; the file was written at " + moment(fi.ModTime())
	}
	inCluster := strings.HasPrefix(c.Subject, "system:serviceaccount:")
	renew := "whoever writes the file has to renew it"
	if inCluster {
		renew = "the kubelet renews a projected token: a copy of one is not renewed, and one mounted with subPath neither"
	}
	switch {
	case l.expires.IsZero():
		return Finding{Status: Wrong, Text: "Entra ID wants a token with an end (exp)", Todo: "use a projected token, not one of a Secret"}
	case !now.Before(l.expires):
		return Finding{Status: Wrong, Text: "Entra ID will not take it any more" + written, Todo: renew + "; or this machine's clock is wrong (it is " + moment(now) + " here)"}
	case l.issued.After(now.Add(clockSlack)) || l.begins.After(now.Add(clockSlack)):
		return Finding{Status: Wrong, Text: "it begins in the future", Todo: "this machine's clock is wrong (it is " + moment(now) + " here), or its issuer's"}
	case l.issued.IsZero():
		return Finding{}
	case life > longestAssertion:
		return Finding{Status: Wrong, Text: "Entra ID takes none that lives longer than " + length(longestAssertion), Todo: "use the token projected for Entra ID, not the service account's default one"}
	case inCluster && now.Sub(l.issued) > due+life/10:
		return Finding{Status: Warning, Text: "the kubelet should have replaced it at " + moment(l.issued.Add(due)) + written, Todo: renew}
	}
	return Finding{}
}

// misused tells of a token that was made for something else than to be shown to Entra ID.
func misused(c claims, file string, facts map[string]string, r Request, w World) (found Finding, odd bool) {
	found = Finding{Status: Wrong, Check: "federated token"}
	proxied := r.AzureTokenProxy != "off" && w.Getenv(proxyVariable) != ""
	facts["source"], facts["wanted"] = file+r.from("federated-token-file"), r.exchangeAudience()
	switch {
	case facts["elsewhere"] != "" && !proxied:
		found.Text = "issuer " + facts["issuer"] + " and audience " + facts["assertion-audience"] + " are not those of a token for Entra ID"
		if strings.HasPrefix(file, "/var/run/secrets/kubernetes.io/serviceaccount/") {
			found.Text = "this is the service account's default token, for the cluster's own API server, and not the one projected for Entra ID"
		}
		found.Todo = fillIn(facts["elsewhere"], facts)
		return found, true
	case !slices.Contains(c.Audience, r.exchangeAudience()) && !proxied:
		found.Status, found.Text = Warning, "its audience is "+facts["assertion-audience"]+" , and in this cloud it is "+r.exchangeAudience()+" unless the federated credential names another"
		return found, true
	}
	return found, false
}

// credential is the finding of [credentialFor], where a login knows of a federated token; else none.
func credential(login Login, r Request) []Finding {
	if login.Facts == nil {
		return nil
	}
	facts := login.Facts()
	if facts["issuer"] == "" {
		return nil
	}
	return []Finding{credentialFor(facts, r)}
}

// credentialFor says which federated credential has to exist, and how it is made.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust-user-assigned-managed-identity
func credentialFor(facts map[string]string, r Request) Finding {
	issuer, subject, audience := facts["issuer"], facts["subject"], facts["assertion-audience"]
	slash := "no slash at the issuer's end"
	if strings.HasSuffix(issuer, "/") {
		slash = "with the slash at the issuer's end"
	}
	found := Finding{Status: OK, Check: "federated credential",
		Text: fmt.Sprintf("the identity needs one with exactly issuer %s , subject %s and audience %s , %s", issuer, subject, audience, slash)}
	for _, value := range []string{issuer, subject, audience} {
		if facts["altered"] != "" || !plain(value, "-._~:/@+=#?&%,") { // not to be pasted into a shell
			found.Status, found.Todo = Warning, "compare these by hand: they hold characters that are not written into a command here"
			return found
		}
	}
	parameters, _ := json.Marshal(map[string]any{"name": "akslogin", "issuer": issuer, "subject": subject, "audiences": []string{audience}}) // strings do not fail
	client := r.ClientID
	if client == "" {
		client = "CLIENT_ID"
	}
	found.Show = []string{
		"# for a managed identity",
		"az identity federated-credential create --resource-group GROUP --identity-name IDENTITY --name akslogin " +
			fmt.Sprintf("--issuer '%s' --subject '%s' --audiences '%s'", issuer, subject, audience),
		"# for an application",
		fmt.Sprintf("az ad app federated-credential create --id '%s' --parameters '%s'", client, parameters),
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
