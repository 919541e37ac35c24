package token

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// hint returns what to do about a failed exchange, with placeholders for e.hintValues, or "".
func (e *exchangeError) hint() string {
	var (
		shared    *sharedError
		refusal   *Refusal
		ci        *ciError
		realm     *entra.RealmError
		permanent *entra.PermanentError
		op        *net.OpError
		tool      *toolRefusal
	)
	m, _ := MethodByName(e.request.Login)
	timedOut := errors.Is(e.err, context.DeadlineExceeded)
	switch {
	case errors.As(e.err, &shared):
		return shared.hint
	case errors.As(e.err, &refusal):
		return e.refusalHint(m, refusal)
	case errors.As(e.err, &ci):
		return ci.hint
	case errors.As(e.err, &tool) && tool.command != "":
		return "run " + tool.command
	case errors.As(e.err, &realm):
		return realmHint(realm)
	case errors.As(e.err, &op) && op.Op == "listen":
		return e.listenHint()
	case m.Interactive && e.hintValues["server"] == "":
		// No server was waited for, so the person did not finish.
		return "the sign-in was not finished: run the command again, and finish it in the browser; --timeout gives more time"
	case timedOut && e.hintValues["tool"] != "":
		return "{tool} did not answer in time: run it by hand and see what it says; --timeout gives it more time"
	case m.FallbackHint != "" && !errors.As(e.err, &permanent):
		return cmp.Or(m.textHint(e.err), m.FallbackHint)
	}
	return causeHint(e.err, e.hintValues)
}

// listenHint returns what to do if this program cannot listen for the browser's answer. MSAL
// listens at the name localhost.
func (e *exchangeError) listenHint() string {
	switch {
	case errors.As(e.err, new(*net.DNSError)):
		return "this machine must know the name localhost: /etc/hosts needs the line 127.0.0.1 " +
			"localhost"
	case e.request.RedirectURL == "":
		return "the browser's answer comes to a port of 127.0.0.1, so this program must be able " +
			"to listen there; --login devicecode needs no port"
	}
	return "another program uses the port, or this user may not listen on it: name another one " +
		"with --redirect-url, or leave that out for any free port"
}

// refusalHint returns what to do about a refusal, with placeholders: the hint for its AADSTS code,
// or else one for its HTTP status.
func (e *exchangeError) refusalHint(m Method, refusal *Refusal) string {
	values := e.hintValues
	own := cmp.Or(m.Hints[refusal.AADSTS], m.textHint(refusal))
	if e.request.isFirstHop {
		own = cmp.Or(firstHopHints[refusal.AADSTS], own)
	}
	hint := cmp.Or(own, aadstsHints[refusal.AADSTS])
	switch {
	case own != "":
	case m.FallbackHint != "" && refusal.AADSTS == 0 &&
		!entra.IsTransientStatus(refusal.HTTPStatus):
		hint = m.FallbackHint
	case slices.Contains(codesNoFederatedCredential, refusal.AADSTS) && values["otherHint"] != "":
		hint = values["otherHint"]
	case refusal.AADSTS == entra.CodeAssertionExpired && values["expires"] > values["now"]:
		// Both times are RFC 3339 in UTC, so that they compare as strings.
		hint = "Entra ID says that the federated token from {source} has expired, but it is valid until {expires} (it is {now} here): this machine's clock or its issuer's is wrong"
	case hint != "":
	case refusal.HTTPStatus == 429 && refusal.RetryAfter > 0:
		hint = "{server} asks for no more requests for " + refusal.RetryAfter.String() + ": " + throttledHint
	case refusal.HTTPStatus == 429:
		hint = throttledHint
	case refusal.HTTPStatus >= 500:
		hint = outageHint
	case refusal.OAuthError == "":
		hint = "something other than Entra ID answered at {server}: a proxy, a firewall's page, or the wrong address"
	case refusal.AADSTS != 0:
		hint = fmt.Sprintf("Microsoft's explanation: https://login.microsoftonline.com/error?code=%d", refusal.AADSTS)
	}
	return hint
}

// realmHint returns what to do about an account whose password Entra ID does not check itself.
func realmHint(e *entra.RealmError) string {
	if e.Federated {
		return "sign in with --login devicecode or interactive"
	}
	return "compare the user name: it is NAME@DOMAIN, with a domain of the tenant"
}

// causeHint returns what to do about an error other than a refusal, with placeholders for values,
// which are as of [hintValues], or "".
func causeHint(err error, values map[string]string) string {
	var (
		proxy       *entra.ProxyError
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
		op          *net.OpError
		request     *url.Error
		permanent   *entra.PermanentError
		invalid     x509.CertificateInvalidError
	)
	atProxy := errors.As(err, &op) && op.Op == "proxyconnect"
	hint := ""
	switch {
	case errors.As(err, &proxy):
		hint = proxyHint(proxy)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = certificateTimeHint(invalid.Cert, time.Now()) // crypto/tls uses this clock
	case errors.As(err, &certificate) && atProxy:
		hint = "the certificate of the proxy that $HTTPS_PROXY names is not trusted here: its CA " +
			"must be {roots}"
	case atProxy:
		hint = "the proxy that $HTTPS_PROXY names must be reachable from here"
	case errors.As(err, &certificate) && values["proxy"] != "":
		hint = "the certificate shown by {server} is not signed by the CA in " +
			"$AZURE_KUBERNETES_CA_FILE or $AZURE_KUBERNETES_CA_DATA, or is not for the name in " +
			"$AZURE_KUBERNETES_SNI_NAME"
	case errors.As(err, &certificate) && errors.As(err, new(x509.HostnameError)):
		hint = "something other than {server} answers under its name: check what the name " +
			"resolves to here (DNS, /etc/hosts), and what the proxy does, if there is one"
	case errors.As(err, &certificate):
		hint = "the certificate shown by {server} is not trusted here: a proxy that opens TLS needs its CA {roots}"
	case errors.As(err, &permanent):
		hint = "check what answers at {server} : a proxy, a firewall's page, or the wrong address"
	case values["discoveryHost"] != "":
		hint = "Microsoft is asked whether it knows {authority}, at {server}, which cannot be reached: if it is a private cloud's authority and you trust it, give --disable-instance-discovery"
	case err != nil && strings.Contains(err.Error(), "protocol version"):
		// crypto/tls has no type for this error.
		hint = "{server} , or a proxy that opens TLS on the way, must speak TLS 1.2 or newer"
	case errors.As(err, &dns):
		hint = "the name of {server} must be resolvable from here{via}"
	case errors.As(err, new(*entra.TryTimeoutError)):
		hint = "{server} must be reachable from here by HTTPS{via}; if it is and answers slowly, " +
			"a larger --timeout gives it more time"
	case errors.As(err, &request),
		errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.ErrUnexpectedEOF),
		errors.As(err, &op):
		hint = "{server} must be reachable from here by HTTPS{via}"
	}
	return hint
}

// certificateTimeHint returns what to do about a server certificate that has expired or is not yet
// valid at now.
func certificateTimeHint(c *x509.Certificate, now time.Time) string {
	here := formatTime(now)
	if now.Before(c.NotBefore) {
		return "the certificate shown by {server} is not valid before " + formatTime(c.NotBefore) +
			" and it is " + here + " here: this machine's clock is behind: synchronize it with NTP"
	}
	return "the certificate shown by {server} expired at " + formatTime(c.NotAfter) +
		" and it is " + here + " here: this machine's clock is ahead, or the certificate must be " +
		"renewed (a proxy's, if one opens TLS)"
}

// proxyHint returns what to do about a proxy that refuses to connect.
func proxyHint(e *entra.ProxyError) string {
	switch {
	case e.Status == http.StatusProxyAuthRequired && e.HasCredentials:
		return "the proxy does not accept the user and password in $HTTPS_PROXY: compare them; they are written http://USER:PASSWORD@HOST:PORT" + percentEncodingNote
	case e.Status == http.StatusProxyAuthRequired:
		return "the proxy requires a user and a password: set them in $HTTPS_PROXY, as " +
			"http://USER:PASSWORD@HOST:PORT" + percentEncodingNote
	}
	return "the proxy that $HTTPS_PROXY names must let this machine through to {server}"
}

// signInHint returns the command with which a person can sign in so that this login finds the
// sign-in.
func (e *exchangeError) signInHint() string {
	r := e.request
	command := e.hintValues["program"] + " get-token --login " + r.Login
	m, _ := MethodByName(r.Login)
	for _, flag := range m.flags() {
		// The person must be asked, whatever --prompt says here.
		if flag == "prompt" || isSecretFlag(flag) || r.From[flag] == fromDefault {
			continue
		}
		switch value := r.flagValue(flag).(type) {
		case bool:
			if value {
				command += " --" + flag
			}
		case string:
			if value != "" {
				command += " --" + flag + " " + shellWord(value)
			}
		}
	}
	command += e.hintValues["sign-in-args"]
	return "sign in once in a terminal, as the same user: " + command +
		" ; programs that run by themselves log in by workloadidentity, spn, msi or azurepipelines" +
		"; --prompt always asks here, for somebody who reads this output"
}
