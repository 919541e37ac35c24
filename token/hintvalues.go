package token

import (
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

const unknownValue = "(unknown)"

// expandHint replaces {name} by the fact of that name.
func expandHint(hint string, facts map[string]string) string {
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
			fact = unknownValue
		}
		out.WriteString(fact)
		hint = after
	}
}

// hintValues are what a hint's placeholders stand for.
func hintValues(r Request, w Options, login Login, wr entra.Client) map[string]string {
	all := map[string]string{}
	if login.HintValues != nil {
		all = login.HintValues()
	}
	m, _ := MethodByName(r.Login)
	for fact, flag := range map[string]string{
		"client": "client-id", "tenant": "tenant-id", "username": "username", "subscription": "subscription", "connection": "azure-pipelines-service-connection-id",
	} {
		if value := r.flagValue(flag).(string); value != "" && m.usesFlag(flag) {
			all[fact] = value + r.sourceNote(flag)
		}
	}
	all["audience"] = r.audience() + r.sourceNote("server-id")
	if _, set := all["authority"]; !set {
		all["authority"] = wr.Authority
	}
	all["asked"], all["wanted"] = wr.LastOutcome.ServerURL, r.exchangeAudience()
	if wr.TokenProxy.URL != nil {
		all["proxy"] = redact.URL(wr.TokenProxy.URL.String()) + " ($" + tokenProxyVariable + ")"
		all["authority"] = all["proxy"]
	}
	if !wr.SkipDiscovery && !r.DisableInstanceDiscovery &&
		wr.LastOutcome.ServerURL != wr.Authority &&
		isMicrosoftAuthority(wr.LastOutcome.ServerURL) {
		all["vouching"] = "Microsoft's"
	}
	all["via"] = reachabilityNote(w.Getenv)
	all["now"] = w.Now().UTC().Format(time.RFC3339)
	return all
}

// reachabilityNote ends a sentence about a host that has to be reachable.
func reachabilityNote(getenv func(string) string) string {
	if getenv("HTTPS_PROXY") != "" || getenv("https_proxy") != "" {
		return ", through the proxy that $HTTPS_PROXY names"
	}
	return ", or $HTTPS_PROXY set"
}
