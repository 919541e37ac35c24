package token

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
)

func (e *exchangeError) hint() string {
	var (
		refusal *entra.Refusal
		job     *ciError
		realm   *entra.RealmError
		odd     *entra.PermanentError
		port    *net.OpError
	)
	m, _ := MethodByName(e.request.Login)
	late := errors.Is(e.err, context.DeadlineExceeded)
	switch {
	case errors.As(e.err, &refusal):
		return e.refusalHint(m, refusal)
	case errors.As(e.err, &job):
		return expandHint(job.hint, e.hintValues)
	case errors.As(e.err, &realm):
		return realmHint(realm)
	case errors.As(e.err, &port) && port.Op == "listen":
		return "another program has the port: name another one with --redirect-url, or leave that out for any that is free"
	case m.Interactive && e.hintValues["asked"] == "": // nothing was sent: it was the person's turn
		return "the sign-in was not finished: run the command again, and finish it in the browser; --timeout gives more time"
	case late && e.hintValues["tool"] != "":
		return expandHint(
			"{tool} did not answer in time: see what it says when it is run by hand; --timeout gives it more",
			e.hintValues,
		)
	case m.FallbackHint != "" && !errors.As(e.err, &odd):
		return expandHint(m.FallbackHint, e.hintValues)
	}
	return causeHint(e.err, e.hintValues)
}

// refusalHint is what to do about an answer that is a refusal.
func (e *exchangeError) refusalHint(m Method, refusal *entra.Refusal) string {
	hint := cmp.Or(m.Hints[refusal.AADSTS], aadstsHints[refusal.AADSTS])
	switch {
	case m.Hints[refusal.AADSTS] != "":
	case refusal.AADSTS == 0 && m.FallbackHint != "" && !entra.IsTransientStatus(refusal.HTTPStatus):
		hint = m.FallbackHint
	case slices.Contains(codesNoFederatedCredential, refusal.AADSTS) && e.hintValues["elsewhere"] != "":
		hint = e.hintValues["elsewhere"]
	case refusal.AADSTS == entra.CodeAssertionExpired && e.hintValues["expires"] > e.hintValues["now"]: // both RFC 3339 in UTC
		hint = "the federated token from {source} is good until {expires} and it is {now} here: this machine's clock or its issuer's is wrong"
	case hint != "":
	case refusal.HTTPStatus == 429 && refusal.RetryAfter > 0:
		hint = fmt.Sprintf(
			"{asked} asks for no more requests for %s: ",
			refusal.RetryAfter,
		) + throttledHint
	case refusal.HTTPStatus == 429:
		hint = throttledHint
	case refusal.HTTPStatus >= 500:
		hint = outageHint
	case refusal.OAuthError == "":
		hint = "something else than Entra ID answered at {asked}: a proxy, a firewall's page, or the wrong address"
	case refusal.AADSTS != 0:
		hint = fmt.Sprintf(
			"what Microsoft says of it: https://login.microsoftonline.com/error?code=%d",
			refusal.AADSTS,
		)
	}
	return expandHint(hint, e.hintValues)
}

// realmHint says what to do about an account whose password Entra ID does not check itself.
func realmHint(e *entra.RealmError) string {
	if e.Federated {
		return "sign in with --login devicecode or interactive"
	}
	return "compare the user name: it is NAME@DOMAIN, with a domain of the tenant"
}

// causeHint is for failures that are not Entra ID's answer.
func causeHint(err error, facts map[string]string) string {
	var (
		proxy       *entra.ProxyError
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
		op          *net.OpError
		request     *url.Error
		refused     *entra.PermanentError
		invalid     x509.CertificateInvalidError
	)
	hint := ""
	switch {
	case errors.As(err, &proxy):
		hint = proxyHint(proxy)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = certificateTimeHint(invalid.Cert, time.Now())
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
	case errors.As(err, &request),
		errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.ErrUnexpectedEOF),
		errors.As(err, &op):
		hint = "{asked} has to be reachable from here by HTTPS{via}"
	}
	return expandHint(hint, facts)
}

// certificateTimeHint is what to do about a certificate that is not good by this machine's clock,
// which TLS goes by.
func certificateTimeHint(c *x509.Certificate, now time.Time) string {
	from, until, here := formatTime(c.NotBefore), formatTime(c.NotAfter), formatTime(now)
	if now.Before(c.NotBefore) {
		return "the certificate shown by {asked} is good from " + from + " and it is " + here + " here: this machine's clock is behind, and has to be set (by NTP)"
	}
	return "the certificate shown by {asked} was good until " + until + " and it is " + here + " here: this machine's clock is ahead, or the certificate has to be renewed (a proxy's, where one opens TLS)"
}

const percentEncodingNote = ", with characters like : / ? # @ % in them percent-encoded (@ as %40)"

// proxyHint says what to do about a proxy that refuses to connect.
func proxyHint(e *entra.ProxyError) string {
	switch {
	case e.Status == http.StatusProxyAuthRequired && e.HasCredentials:
		return "the proxy does not take the user and password that are in $HTTPS_PROXY: compare them; they are written http://USER:PASSWORD@HOST:PORT" + percentEncodingNote
	case e.Status == http.StatusProxyAuthRequired:
		return "the proxy wants a user and a password: they go into $HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT" + percentEncodingNote
	}
	return "the proxy that $HTTPS_PROXY names has to let this machine through to {asked}"
}

func (e *federatedFileError) hint() string {
	switch {
	case e.knownHint != "":
		return e.knownHint
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

// signInHint says how to sign in where somebody can.
func signInHint(r Request) string {
	words := []string{"akslogin get-token --login " + r.Login}
	for _, flag := range []string{"client-id", "tenant-id", "environment", "authority-host", "login-hint"} {
		if value := r.flagValue(flag); value != "" && r.From[flag] != fromDefault {
			words = append(words, fmt.Sprintf("--%s %v", flag, value))
		}
	}
	return "sign in once in a terminal, as the same user: " + strings.Join(
		words,
		" ",
	) + " ; programs that run by themselves log in by workloadidentity, spn, msi or azurepipelines"
}
