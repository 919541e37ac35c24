package token

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
)

// Explanation is an error for people. Text and Hint are a line each, without control characters and without secrets.
type Explanation struct {
	Text string `json:"text"`           // what was tried, with which value from where, and what came of it
	Hint string `json:"hint,omitempty"` // what to do; may be empty
	Exit int    `json:"exit"`           // status for the process: LoginFailed, WrongUsage or NeedsPerson
}

// Exit statuses.
const (
	LoginFailed = 1
	WrongUsage  = 2
	NeedsPerson = 3
)

// UsageError is a request that cannot work, found before anything was sent. Text and Hint may hold the person's own values, quoted.
type UsageError struct{ Text, Hint string }

func (e *UsageError) Error() string { return e.Text }

func usage(format string, args ...any) error { return &UsageError{Text: fmt.Sprintf(format, args...)} }

// Explain puts an error into words. It is the only place that speaks to people.
func Explain(err error) Explanation {
	var (
		told     *failure
		wrong    *UsageError
		file     *fileError
		exchange *exchangeError
	)
	switch {
	case errors.As(err, &told):
		return told.Told
	case errors.As(err, &wrong):
		return Explanation{printable(wrong.Text), printable(wrong.Hint), WrongUsage}
	case errors.As(err, &file):
		return Explanation{printable(file.Error()), fileHint(file), LoginFailed}
	case errors.As(err, &exchange):
		return Explanation{printable(exchange.text()), printable(exchange.hint()), LoginFailed}
	}
	return Explanation{clean(err.Error()), causeHint(err, map[string]string{}), LoginFailed}
}

// text is the error's own, but for causes that come from outside and are cleaned.
func (e *exchangeError) text() string {
	var refusal *Refusal
	if errors.As(e.err, &refusal) {
		return e.Error()
	}
	cause := *e
	cause.err = errors.New(clean(causeText(e.err)))
	return cause.Error()
}

func causeText(err error) string {
	var request *url.Error
	if errors.As(err, &request) && request == err {
		err = request.Err // the address is in the sentence already
	}
	if errors.Is(err, context.DeadlineExceeded) {
		text := "no answer in time"
		if rest, found := strings.CutPrefix(err.Error(), context.DeadlineExceeded.Error()); found {
			text += rest
		}
		return text
	}
	return err.Error()
}

func (e *exchangeError) hint() string {
	var refusal *Refusal
	if !errors.As(e.err, &refusal) {
		return causeHint(e.err, e.facts)
	}
	hint := aadstsHints[refusal.AADSTS]
	switch {
	case hint != "":
	case refusal.HTTPStatus == 429 && refusal.RetryAfter > 0:
		hint = fmt.Sprintf("Entra ID wants to be left alone for %s: too many tokens are asked for; a cache folder that works saves most of them (akslogin cache path)", refusal.RetryAfter)
	case refusal.HTTPStatus == 429:
		hint = "too many tokens are asked for; a cache folder that works saves most of them (akslogin cache path)"
	case refusal.HTTPStatus >= 500:
		hint = "Entra ID has trouble; it was tried several times. See https://status.azure.com if it lasts"
	case refusal.Name == "":
		hint = "something else than Entra ID answered at {authority}: a proxy, a firewall's page, or the wrong address"
	}
	return fillIn(hint, e.facts)
}

const matchHint = "{client} needs a federated credential with exactly issuer {issuer} , subject {subject} and audience {assertion-audience} , as the federated token from {source} has them " +
	"(a slash at the issuer's end counts); one just made takes some minutes to work"

// aadstsHints say what to do, by AADSTS code. In braces are facts: see Login.Facts and facts.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var aadstsHints = map[int]string{
	70021:   matchHint,
	700211:  matchHint,
	700212:  matchHint,
	700213:  matchHint,
	700024:  "the federated token from {source} was good until {expires} and it is {now} here: whoever writes the file must renew it (the kubelet does for a pod), or this clock is off",
	70023:   "the federated token from {source} lives too long to be exchanged: use the one projected for api://AzureADTokenExchange, not the service account's default token",
	700016:  "client ID {client} is no managed identity or application of tenant {tenant}: compare both IDs with the identity's properties; the tenant must be the identity's own",
	700021:  "the federated token from {source} is not for client ID {client}",
	700027:  "the signature of the federated token from {source} is not one of issuer {issuer} : the issuer's keys have changed, or the token is from another cluster",
	700223:  "{tenant} does not trust the issuer {issuer}",
	7000112: "client ID {client} is switched off in tenant {tenant}: an administrator has to enable it",
	7000113: "client ID {client} may not do this",
	50027:   "Entra ID cannot read the federated token from {source}: compare it with the issuer's",
	50013:   "Entra ID cannot verify the federated token from {source}: its issuer must be reachable from the internet",
	50034:   "there is no such user in tenant {tenant}",
	50049:   "Microsoft does not know {authority}: if it is a private cloud's and you trust it, give --disable-instance-discovery",
	53003:   "a Conditional Access policy of tenant {tenant} for workload identities refuses client ID {client}",
	70011:   "server ID {audience} is not one that a token can be had for; leave --server-id out for AKS",
	500011:  "server ID {audience} is not known in tenant {tenant}: leave --server-id out for AKS, and see that the tenant is the cluster's",
	1002012: "server ID {audience} is not one that a token can be had for; leave --server-id out for AKS",
	90002:   "there is no tenant {tenant} at {authority} : check the ID, and --environment for another cloud than Azure's public one",
	900023:  "{tenant} is neither a tenant's ID nor one of its domain names",
	90033:   "Entra ID has trouble; it was tried several times",
	65001:   "client ID {client} has no consent for server ID {audience}",
}

// causeHint is for failures that are not Entra ID's answer.
func causeHint(err error, facts map[string]string) string {
	var (
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
		op          *net.OpError
		request     *url.Error
	)
	hint := ""
	switch {
	case errors.As(err, &certificate):
		hint = "the certificate shown for {authority} is not trusted here: a proxy that opens TLS needs its CA in the file that $SSL_CERT_FILE names; an image without CA certificates needs the package ca-certificates"
	case errors.As(err, &dns):
		hint = "the name has to be resolvable{via}: {authority} is the only address that is asked"
	case errors.As(err, &op) && op.Op == "proxyconnect":
		hint = "the proxy that $HTTPS_PROXY names could not be reached"
	case errors.As(err, &request), errors.Is(err, context.DeadlineExceeded):
		hint = "{authority} has to be reachable from here by HTTPS{via}; it is the only address that is asked"
	}
	return fillIn(hint, facts)
}

func fileHint(e *fileError) string {
	switch {
	case errors.Is(e.err, fs.ErrNotExist):
		return "in a pod, the Azure workload identity webhook mounts it when the pod was made with the label azure.workload.identity/use: \"true\" ; pods that were not have to be made anew. Elsewhere name the file with --federated-token-file"
	case errors.Is(e.err, fs.ErrPermission):
		return "this user has to be able to read it: in a pod, set securityContext.fsGroup"
	}
	return "it has to hold the token that the cluster or CI system issued, and nothing else"
}

// fillIn replaces {name} by the fact of that name.
func fillIn(hint string, facts map[string]string) string {
	pairs := make([]string, 0, 2*len(facts))
	for name, value := range facts {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(hint)
}

const (
	maxClean = 600
	redacted = "[redacted]"
)

// clean makes foreign text fit for a terminal, a log and a ticket: one line, no control characters, of bounded length, and without
// anything that looks like a token (see secretive).
func clean(s string) string {
	s = s[:min(len(s), 16*maxClean)]
	var out strings.Builder
	for word := range words(s) {
		if secretive(word) {
			word = redacted
		}
		out.WriteString(word)
		if out.Len() > maxClean {
			break
		}
	}
	text := printable(out.String())
	if len(text) > maxClean {
		text = strings.ToValidUTF8(text[:maxClean], "") + "…"
	}
	return text
}

// words cuts s into runs of characters that tokens are made of, and what is between them.
func words(s string) func(yield func(string) bool) {
	inToken := func(c byte) bool { return plain(string(c), "-_.~+=%") && c < 0x80 }
	return func(yield func(string) bool) {
		for start := 0; start < len(s); {
			end := start + 1
			for end < len(s) && inToken(s[end]) == inToken(s[start]) {
				end++
			}
			if !yield(s[start:end]) {
				return
			}
			start = end
		}
	}
}

// secretive tells whether a word may be a token or a piece of one: it begins as a JWT's parts do, or is long and mixes capitals, small
// letters and digits. A GUID has 36 characters, a host name has dots, and names in Kubernetes have no capitals.
func secretive(word string) bool {
	if len(word) >= 12 && strings.Contains(word, "eyJ") {
		return true
	}
	for part := range strings.SplitSeq(word, ".") {
		if len(part) >= 40 && strings.ToLower(part) != part && strings.ToUpper(part) != part && strings.ContainsAny(part, "0123456789") {
			return true
		}
	}
	return false
}

// printable puts text on one line without control characters and other invisible ones.
func printable(s string) string {
	fields := strings.FieldsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) })
	return strings.ToValidUTF8(strings.Map(func(c rune) rune {
		switch {
		case c >= 0x200b && c <= 0x200f, c >= 0x2028 && c <= 0x202e, c >= 0x2060 && c <= 0x206f, c == 0xfeff:
			return -1
		}
		return c
	}, strings.Join(fields, " ")), "")
}
