package token

import (
	"cmp"
	"runtime"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// hintFlags are the flags whose values hints show, by placeholder.
var hintFlags = map[string]string{
	"client":       "client-id",
	"tenant":       "tenant-id",
	"username":     "username",
	"subscription": "subscription",
	"connection":   "azure-pipelines-service-connection-id",
}

// hintValues returns the values of a hint's placeholders. Besides those of login.HintValues these
// are the values of flags, and:
//
//	audience           the application that the token is for
//	exchange-audience  the audience that a federated token must have
//	authority          address of the service that issues the token
//	proxy              the cluster's token proxy, if it is used
//	server             address that got the last request; "" if none was sent
//	via                a note about the proxy
//	roots              where a CA's certificate must be
//	now                the time, RFC 3339 in UTC
//	program            the name of the command line program
//	sign-in-args       Options.SignInArgs for a shell, with a space before each
//
// The key discoveryHost, which is not a placeholder, is set if the last request asked Microsoft
// about the authority.
func hintValues(r Request, opts Options, login Login, client entra.Client) map[string]string {
	values := map[string]string{}
	if login.HintValues != nil {
		values = login.HintValues()
	}
	m, _ := MethodByName(r.Login)
	for placeholder, flag := range hintFlags {
		if value := r.flagValue(flag).(string); value != "" && m.usesFlag(flag) {
			values[placeholder] = value + r.sourceNote(flag)
		}
	}
	server := client.LastOutcome.ServerURL
	if _, set := values["authority"]; !set {
		values["authority"] = client.Authority
	}
	if client.TokenProxy.URL != nil {
		address := redact.URL(client.TokenProxy.URL.String())
		values["proxy"] = address + " ($" + tokenProxyVariable + ")"
		values["authority"] = values["proxy"]
	}
	if !client.SkipDiscovery && !r.trustsAuthority() &&
		server != client.Authority && isMicrosoftAuthority(server) {
		values["discoveryHost"] = server
	}
	values["audience"] = r.audience() + r.sourceNote("server-id")
	values["exchange-audience"] = r.exchangeAudience()
	for _, arg := range opts.SignInArgs {
		values["sign-in-args"] += " " + shellWord(arg)
	}
	values["program"] = cmp.Or(opts.Program, "akslogin")
	addNetworkValues(values, server, opts)
	values["now"] = opts.Now().UTC().Format(time.RFC3339)
	return values
}

// addNetworkValues adds the placeholders server, via and roots.
func addNetworkValues(values map[string]string, server string, opts Options) {
	values["server"] = server
	values["via"] = reachabilityNote(opts.Getenv)
	values["roots"] = rootsHint(runtime.GOOS, opts.Getenv)
}
