package token

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Explanation is an error for people. Text and Hint are a line each, without control characters and without secrets.
type Explanation struct {
	Text string // what was tried, with which value from where, and what came of it
	Hint string // what to do; may be empty
	Exit int    // status for the process: LoginFailed or WrongUsage
}

// Exit statuses.
const (
	LoginFailed  = 1
	WrongUsage   = 2
	PersonNeeded = 3 // a person has to sign in, and nobody can be asked
)

// UsageError is a request that cannot work, found before anything was sent. Text and Hint may hold the person's own values, quoted.
type UsageError struct{ Text, Hint string }

func (e *UsageError) Error() string { return e.Text }

func usage(format string, args ...any) error { return &UsageError{Text: fmt.Sprintf(format, args...)} }

// FailedError is something that was tried and did not succeed, in words already. Text and Hint may hold foreign text.
type FailedError struct{ Text, Hint string }

func (e *FailedError) Error() string { return e.Text }

// Explain puts an error into words. It is the only place that speaks to people.
func Explain(err error) Explanation {
	var (
		wrong    *UsageError
		file     *fileError
		exchange *exchangeError
		send     *sendError
		failed   *FailedError
	)
	switch {
	case errors.As(err, &wrong):
		return explanation(wrong.Text, wrong.Hint, WrongUsage)
	case errors.As(err, &file):
		return explanation(file.Error(), file.hint(), LoginFailed)
	case errors.As(err, &exchange) && errors.As(err, new(*needsPerson)):
		return explanation(without(exchange.text(), exchange.secrets), personHint(exchange.request), PersonNeeded)
	case errors.As(err, &exchange):
		return explanation(without(exchange.text(), exchange.secrets), without(exchange.hint(), exchange.secrets), LoginFailed)
	case errors.As(err, &send):
		return explanation(send.text(), causeHint(send.err, send.facts), LoginFailed)
	case errors.As(err, &failed):
		return explanation(failed.Text, failed.Hint, LoginFailed)
	}
	return explanation(err.Error(), "", LoginFailed)
}

// secretVariables are those that hold what a login shows, beside the flags' own.
var secretVariables = slices.Concat(metadataSecrets, []string{gitHub.keyVariable, pipelines.keyVariable})

// secrets are what this request shows to somebody, who may repeat it in an error.
func (r Request) secrets(getenv func(string) string) []string {
	var all []string
	t := reflect.TypeFor[Request]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("secret") != "" {
			all = append(all, reflect.ValueOf(r).Field(i).String())
		}
	}
	for _, name := range secretVariables {
		all = append(all, getenv(name))
	}
	return slices.DeleteFunc(all, func(s string) bool { return len(s) < 4 }) // shorter ones would be found in any word
}

// without replaces secrets, as they are and as forms, URLs, quotes and base64 have them.
func without(text string, secrets []string) string {
	for _, secret := range secrets {
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(strconv.Quote(secret), `"`),
			base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		} {
			text = strings.ReplaceAll(text, form, redacted)
		}
	}
	return text
}

// Discreet is log without what this request shows to somebody, who may repeat it in an answer.
func (r Request) Discreet(log *slog.Logger, getenv func(string) string) *slog.Logger {
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return log
	}
	return slog.New(newDiscreet(log.Handler(), r.secrets(getenv)))
}

// discreet is a handler for debugging, whose attributes are all text.
type discreet struct {
	slog.Handler
	secrets []string
}

// newDiscreet returns a handler that replaces secrets in attributes before next sees them.
func newDiscreet(next slog.Handler, secrets []string) slog.Handler { return discreet{next, secrets} }

// Handle implements slog.Handler.
func (d discreet) Handle(ctx context.Context, said slog.Record) error {
	clean := slog.NewRecord(said.Time, said.Level, said.Message, said.PC)
	said.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(slog.String(a.Key, without(a.Value.String(), d.secrets)))
		return true
	})
	return d.Handler.Handle(ctx, clean)
}

// explanation is where every text passes that is shown, whoever wrote it: a token can stand in a flag's place too.
func explanation(text, hint string, exit int) Explanation {
	return Explanation{Clean(text), Clean(hint), exit}
}

// text is the error's own, but for causes that come from outside and are cleaned.
func (e *exchangeError) text() string {
	var refusal *Refusal
	if errors.As(e.err, &refusal) {
		return e.Error()
	}
	cleaned := *e
	cleaned.err = errors.New(clean(cause(e.err, e.request)))
	return cleaned.Error()
}

// cause is what an error says of r's requests, without what the sentence around it says already.
func cause(err error, r Request) string {
	var request *url.Error
	if errors.As(err, &request) && request == err {
		err = request.Err // the address is in the sentence already
	}
	rest, found := strings.CutPrefix(err.Error(), context.DeadlineExceeded.Error())
	switch {
	case found && r.Timeout > 0:
		return fmt.Sprintf("no answer within %s%s%s", r.Timeout, r.from("timeout"), rest)
	case found:
		return "no answer in time" + rest
	}
	return err.Error()
}

func (e *exchangeError) hint() string {
	var (
		refusal *Refusal
		job     *ciError
		realm   *realmError
		odd     *finalError
		port    *net.OpError
	)
	m, _ := method(e.request.Login)
	late := errors.Is(e.err, context.DeadlineExceeded)
	switch {
	case errors.As(e.err, &refusal):
		return e.refusedHint(m, refusal)
	case errors.As(e.err, &job):
		return fillIn(job.todo, e.facts)
	case errors.As(e.err, &realm):
		return realmHint(realm)
	case errors.As(e.err, &port) && port.Op == "listen":
		return "another program has the port: name another one with --redirect-url, or leave that out for any that is free"
	case m.Asks && e.facts["asked"] == "": // nothing was sent: it was the person's turn
		return "the sign-in was not finished: run the command again, and finish it in the browser; --timeout gives more time"
	case late && e.facts["tool"] != "":
		return fillIn("{tool} did not answer in time: see what it says when it is run by hand; --timeout gives it more", e.facts)
	case m.Remedy != "" && !errors.As(e.err, &odd):
		return fillIn(m.Remedy, e.facts)
	}
	return causeHint(e.err, e.facts)
}

// realmHint says what to do about an account whose password Entra ID does not check itself.
func realmHint(e *realmError) string {
	if e.federated {
		return "sign in with --login devicecode or interactive"
	}
	return "compare the user name: it is NAME@DOMAIN, with a domain of the tenant"
}

// refusedHint is what to do about an answer that is a refusal.
func (e *exchangeError) refusedHint(m Method, refusal *Refusal) string {
	hint := cmp.Or(m.Hints[refusal.AADSTS], aadstsHints[refusal.AADSTS])
	switch {
	case m.Hints[refusal.AADSTS] != "":
	case refusal.AADSTS == 0 && m.Remedy != "" && !mayPass(refusal.HTTPStatus):
		hint = m.Remedy
	case slices.Contains(noFederatedCredential, refusal.AADSTS) && e.facts["elsewhere"] != "":
		hint = e.facts["elsewhere"]
	case refusal.AADSTS == assertionOutOfTime && e.facts["expires"] > e.facts["now"]: // both RFC 3339 in UTC
		hint = "the federated token from {source} is good until {expires} and it is {now} here: this machine's clock or its issuer's is wrong"
	case hint != "":
	case refusal.HTTPStatus == 429 && refusal.RetryAfter > 0:
		hint = fmt.Sprintf("{asked} asks for no more requests for %s: ", refusal.RetryAfter) + throttledHint
	case refusal.HTTPStatus == 429:
		hint = throttledHint
	case refusal.HTTPStatus >= 500:
		hint = troubleHint
	case refusal.Name == "":
		hint = "something else than Entra ID answered at {asked}: a proxy, a firewall's page, or the wrong address"
	case refusal.AADSTS != 0:
		hint = fmt.Sprintf("what Microsoft says of it: https://login.microsoftonline.com/error?code=%d", refusal.AADSTS)
	}
	return fillIn(hint, e.facts)
}

const (
	throttledHint = "too many tokens are asked for. A cache folder that works saves most of them (akslogin cache path)"
	troubleHint   = "{asked} has trouble. See https://status.azure.com if it lasts"
	serverIDHint  = "server ID {audience} is not one that a token can be had for; leave --server-id out for AKS"
)

const (
	secondFactorHint = "the account {username} wants a second factor, or more than a password: sign in with --login devicecode or interactive; programs use workloadidentity or spn"
	declinedHint     = "the sign-in was not finished: run the command again, enter the code that it shows and agree"
	codeExpiredHint  = "the code has expired: run the command again and enter the new one within a quarter of an hour"
	deviceHint       = "a Conditional Access policy of tenant {tenant} wants another device or app: sign in with --login interactive on a machine that the tenant manages; programs use workloadidentity or spn"
	accountHint      = "the account that signed in is not one of tenant {tenant}: sign in with another one, or have it invited there; compare --tenant-id with the cluster's tenant"
	peopleHint       = "for AKS people use client ID " + PublicClient
)

const (
	matchHint = "{client} needs a federated credential with exactly issuer {issuer} , subject {subject} and audience {assertion-audience} , as the federated token from {source} has them " +
		"(a slash at the issuer's end counts); scheduler, worker and triggerer need one each; a new one takes some minutes to work"
	issuerHint   = "Entra ID could not read the keys of issuer {issuer}, who issued the federated token from {source}: they must be reachable from the internet. Where they are it passes, so try again"
	entraOwnHint = "the federated token from {source} was issued by Entra ID itself, of a kind that it does not exchange: use the one that the cluster or CI system issues"
	noClientHint = "client ID {client} is no managed identity or application of tenant {tenant}: compare both IDs with the identity's properties; the tenant must be the identity's own"
	disabledHint = "client ID {client} is switched off in tenant {tenant}: an administrator has to enable it"
	wrongKeyHint = "the {source} is not one of client ID {client}: copy the secret's value, not its ID, and see that it was not deleted"
	cloudHint    = "tenant {tenant} is in another cloud than {authority} : give --environment"
	noTenantHint = "Entra ID cannot tell which tenant is meant by {tenant}: give the tenant's ID with --tenant-id"
	consentHint  = "nobody has allowed client ID {client} to be used for server ID {audience} in tenant {tenant}: " + peopleHint
	policyHint   = "a Conditional Access policy of tenant {tenant} refuses this login with client ID {client}: its administrators find which in the sign-in log, by the correlation ID"
	tenantsHint  = "a proxy on the way allows some tenants only, and {tenant} is none of them (tenant restrictions): its administrators have to add it"
	betweenHint  = "the cross-tenant access settings of tenant {tenant}, or of the account's own tenant, refuse it: their administrators have to allow it"
	passwordHint = "the password of {username} has expired: change it in a browser"
	agentHint    = "the password of {username} is checked by agents at home, which do not answer: see to them, or log in by another method"
)

// aadstsHints say what to do, by AADSTS code. In braces are facts: see Login.Facts and facts.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes has most of the codes; a test says from where the others are known.
var aadstsHints = map[int]string{
	// Federated tokens.
	70021:   matchHint,
	700211:  matchHint,
	700212:  matchHint,
	700213:  matchHint,
	7002138: matchHint + ". Capital and small letters count",
	700024:  "the federated token from {source} was good until {expires} and it is {now} here: whoever writes it must renew it (the kubelet does for a pod), or this machine's clock is wrong",
	70023:   "the federated token from {source} lives too long to be exchanged: use the one projected for {wanted} , not the service account's default token",
	700027:  "the signature of the federated token from {source} is not one of issuer {issuer} : the issuer's keys have changed, or the token is from another cluster",
	700222:  entraOwnHint,
	700229:  entraOwnHint,
	50013:   issuerHint,
	50027:   "Entra ID cannot read the federated token from {source}: compare it with what its issuer gave",
	50166:   issuerHint,
	501661:  issuerHint,
	90061:   issuerHint,

	// Applications and managed identities.
	50012:   "the {source} is not one that client ID {client} may log in with: add it to the application",
	70001:   noClientHint,
	70002:   wrongKeyHint,
	700011:  noClientHint,
	700016:  noClientHint,
	700025:  "client ID {client} is an application for people, and proves itself by nothing: give the client ID of a managed identity or of an application of your own",
	700030:  "the {source} has a name that client ID {client} does not trust: compare it with the application's",
	7000112: disabledHint,
	7000215: wrongKeyHint,
	7000222: "the {source} has expired: make a new one for client ID {client}, or use a federated credential, which does not expire",
	7000229: "client ID {client} has no service principal in tenant {tenant}: an administrator makes one with: az ad sp create --id CLIENT_ID",

	// Tenants and clouds.
	50002:   tenantsHint,
	50059:   noTenantHint,
	50128:   noTenantHint,
	50194:   "client ID {client} is for one tenant only: give its ID with --tenant-id",
	90002:   "there is no tenant {tenant} at {authority} : check the ID, and --environment for another cloud than Azure's public one",
	90019:   noTenantHint,
	90038:   cloudHint,
	90051:   cloudHint,
	100007:  "this login is not for regional addresses: unset $AZURE_REGIONAL_AUTHORITY_NAME and $MSAL_FORCE_REGION",
	500021:  tenantsHint,
	500022:  tenantsHint,
	500212:  betweenHint,
	500213:  betweenHint,
	900023:  "{tenant} is neither a tenant's ID nor one of its domain names",
	900382:  cloudHint,
	900432:  cloudHint,
	9001023: noTenantHint,
	50049:   "Microsoft does not know {authority}: if it is a private cloud's and you trust it, give --disable-instance-discovery",

	// What the token is for.
	50001:   serverIDHint,
	70011:   serverIDHint,
	500011:  "server ID {audience} is not known in tenant {tenant}: leave --server-id out for AKS, and see that the tenant is the cluster's",
	650057:  consentHint,
	1002012: serverIDHint,

	// Policies.
	50105:  "nobody has assigned the account to client ID {client} in tenant {tenant}: an administrator has to, or " + peopleHint,
	53000:  deviceHint,
	53001:  deviceHint,
	53002:  deviceHint,
	53003:  policyHint,
	53011:  policyHint,
	50097:  deviceHint,
	50131:  policyHint,
	530032: policyHint,
	530034: policyHint,
	530035: policyHint,
	65001:  consentHint,
	65002:  consentHint,
	650056: consentHint,
	90094:  consentHint,

	// People.
	50011:   "client ID {client} does not allow http://localhost as a redirect URL: " + peopleHint,
	50014:   accountHint,
	50020:   accountHint,
	50034:   "there is no user {username} in tenant {tenant}: compare both, and --environment",
	50053:   "the account {username} is locked for a while, after too many wrong passwords or because of where they came from",
	50055:   passwordHint,
	50056:   "the account {username} has no password: sign in with --login devicecode or interactive",
	50057:   "the account {username} is switched off in tenant {tenant}",
	50072:   secondFactorHint,
	50074:   secondFactorHint,
	50076:   secondFactorHint,
	50078:   secondFactorHint,
	50079:   secondFactorHint,
	50126:   "the user name {username} or the password is wrong",
	50144:   passwordHint,
	50158:   secondFactorHint,
	51004:   accountHint,
	65004:   declinedHint,
	70016:   declinedHint,
	70018:   declinedHint,
	70019:   codeExpiredHint,
	70020:   codeExpiredHint,
	80001:   agentHint,
	80002:   agentHint,
	90072:   accountHint,
	7000218: "client ID {client} is an application that proves itself with a secret or certificate, and not one for people: " + peopleHint,

	// What passes.
	50033: troubleHint,
	50196: throttledHint,
	90006: troubleHint,
	90012: troubleHint,
	90024: troubleHint,
	90033: troubleHint,
	90055: throttledHint,
}

// causeHint is for failures that are not Entra ID's answer.
func causeHint(err error, facts map[string]string) string {
	var (
		proxy       *proxyRefusal
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
		op          *net.OpError
		request     *url.Error
		refused     *finalError
		invalid     x509.CertificateInvalidError
	)
	hint := ""
	switch {
	case errors.As(err, &proxy):
		hint = proxyHint(proxy)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = outOfTimeHint(invalid.Cert, time.Now())
	case errors.As(err, &certificate) && errors.As(err, &op) && op.Op == "proxyconnect":
		hint = "the certificate of the proxy that $HTTPS_PROXY names is not trusted here: its CA has to be in the file that $SSL_CERT_FILE names"
	case errors.As(err, &op) && op.Op == "proxyconnect":
		hint = "the proxy that $HTTPS_PROXY names has to be reachable from here"
	case errors.As(err, &certificate) && facts["proxy"] != "":
		hint = "the certificate shown by {asked} is not of the CA that $AZURE_KUBERNETES_CA_FILE or $AZURE_KUBERNETES_CA_DATA gives, or not for the name in $AZURE_KUBERNETES_SNI_NAME"
	case errors.As(err, &certificate) && errors.As(err, new(x509.HostnameError)):
		hint = "something else than {asked} answers under its name: see what that means here (DNS, /etc/hosts), and what the proxy does, if there is one"
	case errors.As(err, &certificate):
		hint = "the certificate shown by {asked} is not trusted here: a proxy that opens TLS needs its CA in the file that $SSL_CERT_FILE names; an image without CA certificates needs the package ca-certificates"
	case errors.As(err, &refused):
		hint = "see what answers at {asked} : a proxy's or firewall's page, or a wrong address"
	case facts["vouching"] != "":
		hint = "Microsoft is asked whether it knows {authority}, at {asked}, which cannot be reached: if it is a private cloud's authority and you trust it, give --disable-instance-discovery"
	case err != nil && strings.Contains(err.Error(), "protocol version"): // crypto/tls has no type for it
		hint = "{asked} , or a proxy that opens TLS on the way, has to speak TLS 1.2 or newer"
	case errors.As(err, &dns):
		hint = "the name of {asked} has to be resolvable from here{via}"
	case errors.As(err, &request), errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &op):
		hint = "{asked} has to be reachable from here by HTTPS{via}"
	}
	return fillIn(hint, facts)
}

// outOfTimeHint is what to do about a certificate that is not good by this machine's clock, which TLS goes by.
func outOfTimeHint(c *x509.Certificate, now time.Time) string {
	from, until, here := moment(c.NotBefore), moment(c.NotAfter), moment(now)
	if now.Before(c.NotBefore) {
		return "the certificate shown by {asked} is good from " + from + " and it is " + here + " here: this machine's clock is behind, and has to be set (by NTP)"
	}
	return "the certificate shown by {asked} was good until " + until + " and it is " + here + " here: this machine's clock is ahead, or the certificate has to be renewed (a proxy's, where one opens TLS)"
}

const percentEncoded = ", with characters like : / ? # @ % in them percent-encoded (@ as %40)"

// proxyHint says what to do about a proxy that refuses to connect.
func proxyHint(e *proxyRefusal) string {
	switch {
	case e.status == http.StatusProxyAuthRequired && e.identified:
		return "the proxy does not take the user and password that are in $HTTPS_PROXY: compare them; they are written http://USER:PASSWORD@HOST:PORT" + percentEncoded
	case e.status == http.StatusProxyAuthRequired:
		return "the proxy wants a user and a password: they go into $HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT" + percentEncoded
	}
	return "the proxy that $HTTPS_PROXY names has to let this machine through to {asked}"
}

func (e *fileError) hint() string {
	switch {
	case e.todo != "":
		return e.todo
	case errors.Is(e.err, fs.ErrNotExist):
		return `in a pod, the Azure workload identity webhook mounts it if the pod was created with the label azure.workload.identity/use: "true" ; other pods must be recreated. ` +
			"On Astro, authorise the Deployment's workload identity. Elsewhere name the file with --federated-token-file"
	case errors.Is(e.err, fs.ErrPermission):
		return "this user has to be able to read it: in a pod, set securityContext.fsGroup"
	case errors.As(e.err, new(syscall.Errno)):
		return "the system cannot read it, whatever it holds: see what is mounted at that path, and what the machine lacks; a pod that is recreated gets a new mount"
	}
	return "it has to hold the token that the cluster or CI system issued, and nothing else"
}

// personHint says how to sign in where somebody can.
func personHint(r Request) string {
	words := []string{"akslogin get-token --login " + r.Login}
	for _, flag := range []string{"client-id", "tenant-id", "environment", "authority-host", "login-hint"} {
		if value := r.value(flag); value != "" && r.From[flag] != theDefault {
			words = append(words, fmt.Sprintf("--%s %v", flag, value))
		}
	}
	return "sign in once in a terminal, as the same user: " + strings.Join(words, " ") + " ; programs that run by themselves log in by workloadidentity, spn, msi or azurepipelines"
}

const unknownFact = "(unknown)"

// fillIn replaces {name} by the fact of that name.
func fillIn(hint string, facts map[string]string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(hint, "{")
		name, after, closed := strings.Cut(rest, "}")
		out.WriteString(before)
		if !found || !closed {
			return out.String()
		}
		fact, known := facts[name]
		if !known {
			fact = unknownFact
		}
		out.WriteString(fact)
		hint = after
	}
}

const (
	maxClean = 500
	maxText  = 900 // hosts show one line, of bounded length
	redacted = "[redacted]"
)

// Clean makes text that may hold anything fit for a log: on one line, of bounded length, without control characters and without
// what looks like a token or secret.
func Clean(s string) string { return line(s) }

// line makes text fit to be shown on a line of its own.
func line(s string) string { return presentable(s, maxText) }

// clean makes foreign text fit for a sentence.
func clean(s string) string { return presentable(s, maxClean) }

// presentable makes text fit for a terminal, a log and a ticket: one line, no control characters, of at most so many bytes, and without
// anything that looks like a token (see secretive).
func presentable(s string, atMost int) string {
	s = s[:min(len(s), 16*atMost)]
	var out strings.Builder
	for word := range words(s) {
		if secretive(word) {
			word = redacted
		}
		out.WriteString(word)
		if out.Len() > 2*atMost {
			break
		}
	}
	text := printable(out.String())
	if len(text) > atMost {
		text = strings.ToValidUTF8(text[:atMost], "") + "…"
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

// secretive tells whether a word may be a token, a secret or a piece of one: a part of it begins as a JWT's parts do, or it is long and
// changes between capitals, small letters, digits and others at every other character, as chance does. GUIDs and hashes have
// letters of one kind, names have syllables.
func secretive(word string) bool {
	for i := 0; i < len(word); i++ {
		at := strings.Index(word[i:], "eyJ")
		if at < 0 {
			break
		}
		i += at
		begins := i == 0 || kind(word[i-1]) == other || (i >= 3 && word[i-3] == '%')
		if begins && len(word)-i >= 16 {
			return true
		}
	}
	if len(word) < 32 {
		return false
	}
	changes, seen := 0, map[charKind]bool{}
	for i := range len(word) {
		seen[kind(word[i])] = true
		if i > 0 && kind(word[i]) != kind(word[i-1]) {
			changes++
		}
	}
	return seen[capital] && seen[small] && changes*5 >= len(word)*2
}

type charKind int

const (
	other charKind = iota
	capital
	small
	digit
)

func kind(c byte) charKind {
	switch {
	case 'A' <= c && c <= 'Z':
		return capital
	case 'a' <= c && c <= 'z':
		return small
	case '0' <= c && c <= '9':
		return digit
	}
	return other
}

// printable puts text on one line without control characters and other invisible ones.
func printable(s string) string {
	fields := strings.FieldsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) })
	return strings.ToValidUTF8(strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) { // invisible ones, and those that turn the direction
			return -1
		}
		return c
	}, strings.Join(fields, " ")), "")
}
